//! Which scene stands on a parcel, asked of the content server and remembered.

use super::{AskError, BaseUrl, post};
use atoll_core::census::Parcel;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex as BlockingMutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is used.
const FRESH: Duration = Duration::from_secs(300);

/// Least time between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// The same after one that was not answered.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Parcels asked about at a time. The others wait for the next question.
const MAX_POINTERS: usize = 50;

/// Largest answer read, in bytes: scenes come with the list of their files.
const MAX_ANSWER: usize = 8 << 20;

/// Parcels remembered.
const MAX_KNOWN: usize = 10_000;

/// Longest text kept of a scene, in characters.
const MAX_TEXT: usize = 1_000;

/// Most parcels of a scene. The largest in use have some thousands.
const MAX_PARCELS: usize = 10_000;

/// A scene, as its author describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) base: Parcel,
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) thumbnail: Option<String>,
    pub(crate) creator: Option<String>,
    pub(crate) project_id: Option<String>,
    pub(crate) description: Option<String>,
}

/// Asks one content server. Without one there are no scenes.
#[derive(Debug)]
pub(crate) struct Scenes {
    content: Option<BaseUrl>,
    known: BlockingMutex<HashMap<Parcel, Known>>,
    /// When the next question may be asked. Held while one is, so that there is one at a time.
    next_question: Mutex<Instant>,
}

#[derive(Debug)]
struct Known {
    scene: Option<Arc<Scene>>,
    since: Instant,
}

impl Scenes {
    /// Asks the server at this URL.
    pub(crate) fn new(content: Option<BaseUrl>) -> Self {
        Self { content, known: BlockingMutex::default(), next_question: Mutex::new(Instant::now()) }
    }

    /// The scenes on these parcels, those that matter most first; each scene once. Some are missing while the server does not
    /// answer, or until it was asked about all of them.
    pub(crate) async fn on(&self, parcels: &[Parcel]) -> Vec<Arc<Scene>> {
        self.learn(parcels).await;
        let known = self.lock();
        let mut scenes = Vec::<Arc<Scene>>::new();
        let mut seen = HashSet::new();
        for scene in parcels.iter().filter_map(|parcel| known.get(parcel)?.scene.as_ref()) {
            if seen.insert(scene.id.as_str()) {
                scenes.push(Arc::clone(scene));
            }
        }
        scenes
    }

    async fn learn(&self, parcels: &[Parcel]) {
        let Some(content) = &self.content else { return };
        if self.unknown(parcels).is_empty() {
            return;
        }
        let mut next_question = self.next_question.lock().await;
        // Another has asked meanwhile, perhaps for the same.
        let unknown = self.unknown(parcels);
        if unknown.is_empty() || Instant::now() < *next_question {
            return;
        }
        let asked = tokio::time::timeout(PATIENCE, ask(content, &unknown)).await;
        let pause = match asked.unwrap_or(Err(AskError::Silence)) {
            Ok(scenes) => {
                self.remember(&unknown, scenes);
                PAUSE
            }
            Err(error) => {
                tracing::warn!("the content server does not tell its scenes: {error}");
                PAUSE_AFTER_FAILURE
            }
        };
        *next_question = Instant::now() + pause;
    }

    /// The first of these parcels about which nothing is known, or nothing new.
    fn unknown(&self, parcels: &[Parcel]) -> Vec<Parcel> {
        let known = self.lock();
        let is_unknown = |parcel: &&Parcel| known.get(parcel).is_none_or(|known| known.since.elapsed() >= FRESH);
        parcels.iter().filter(is_unknown).take(MAX_POINTERS).copied().collect()
    }

    fn remember(&self, asked: &[Parcel], scenes: Vec<Scene>) {
        let scenes: Vec<Arc<Scene>> = scenes.into_iter().map(Arc::new).collect();
        let since = Instant::now();
        let mut known = self.lock();
        if known.len() + asked.len() > MAX_KNOWN {
            known.retain(|_, known| known.since.elapsed() < FRESH);
        }
        if known.len() + asked.len() > MAX_KNOWN {
            known.clear();
        }
        for parcel in asked {
            let scene = scenes.iter().find(|scene| scene.parcels.contains(parcel)).cloned();
            known.insert(*parcel, Known { scene, since });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Parcel, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(content: &BaseUrl, parcels: &[Parcel]) -> Result<Vec<Scene>, AskError> {
    let pointers: Vec<String> = parcels.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let answer = post(&content.below("entities/active"), &json!({ "pointers": pointers }), MAX_ANSWER).await?;
    let entities = answer.as_array().map_or(&[][..], Vec::as_slice);
    Ok(entities.iter().filter_map(|entity| Scene::read(content, entity)).collect())
}

impl Scene {
    /// Reads an entity. What its author left out or misspelled is absent; without parcels it is no scene.
    fn read(content: &BaseUrl, entity: &Value) -> Option<Self> {
        let metadata = &entity["metadata"];
        let parcels = metadata["scene"]["parcels"].as_array()?.iter().take(MAX_PARCELS);
        let parcels: Vec<Parcel> = parcels.filter_map(parcel).collect();
        Some(Self {
            id: text(&entity["id"])?,
            name: text(&metadata["display"]["title"]),
            base: parcel(&metadata["scene"]["base"]).or_else(|| parcels.first().copied())?,
            parcels,
            thumbnail: thumbnail(content, entity),
            creator: text(&metadata["contact"]["name"]),
            project_id: text(&metadata["source"]["projectId"]),
            description: text(&metadata["display"]["description"]),
        })
    }
}

/// The picture's address: as it stands, or that of the file of this name. Other names lead nowhere.
fn thumbnail(content: &BaseUrl, entity: &Value) -> Option<String> {
    let name = entity["metadata"]["display"]["navmapThumbnail"].as_str().filter(|name| !name.is_empty())?;
    if name.starts_with("http") {
        return Some(clipped(name));
    }
    let file = entity["content"].as_array()?.iter().find(|file| file["file"] == name)?;
    Some(content.below(&format!("contents/{}", text(&file["hash"])?)).to_string())
}

/// A parcel as it is written in scenes: `x,y`.
fn parcel(written: &Value) -> Option<Parcel> {
    let (x, y) = written.as_str()?.split_once(',')?;
    Some((x.trim().parse().ok()?, y.trim().parse().ok()?))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(clipped)
}

fn clipped(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entity: &Value) -> Option<Scene> {
        Scene::read(&"http://content.example/content/".parse().unwrap(), entity)
    }

    #[test]
    fn a_scene_is_read_from_its_entity() {
        let scene = read(&json!({
            "id": "bafy",
            "type": "scene",
            "pointers": ["0,0", "0,1"],
            "content": [{ "file": "a.js", "hash": "bafa" }, { "file": "images/small.png", "hash": "bafp" }],
            "metadata": {
                "display": { "title": "Plaza", "description": "All meet here", "navmapThumbnail": "images/small.png" },
                "contact": { "name": "Ada" },
                "source": { "projectId": "p-1" },
                "scene": { "base": "0,1", "parcels": ["0,0", "0,1", "-1, -2", "here"] },
            },
        }));
        let expected = Scene {
            id: "bafy".to_owned(),
            name: Some("Plaza".to_owned()),
            base: (0, 1),
            parcels: vec![(0, 0), (0, 1), (-1, -2)],
            thumbnail: Some("http://content.example/content/contents/bafp".to_owned()),
            creator: Some("Ada".to_owned()),
            project_id: Some("p-1".to_owned()),
            description: Some("All meet here".to_owned()),
        };
        assert_eq!(scene, Some(expected));
    }

    #[test]
    fn what_is_left_out_is_absent() {
        let scene = |metadata: Value| read(&json!({ "id": "bafy", "metadata": metadata }));
        let bare =
            scene(json!({ "scene": { "parcels": ["5,5"] }, "display": { "navmapThumbnail": "gone.png", "title": 7 } }));
        let bare = bare.unwrap();
        assert_eq!((bare.base, bare.name, bare.thumbnail, bare.creator), ((5, 5), None, None, None));
        let outside =
            scene(json!({ "scene": { "parcels": ["5,5"] }, "display": { "navmapThumbnail": "https://x/y.png" } }));
        assert_eq!(outside.unwrap().thumbnail.as_deref(), Some("https://x/y.png"));
        for metadata in
            [json!(null), json!({}), json!({ "scene": { "parcels": [] } }), json!({ "scene": { "parcels": "0,0" } })]
        {
            assert_eq!(scene(metadata), None);
        }
        assert_eq!(read(&json!({ "metadata": { "scene": { "parcels": ["0,0"] } } })), None, "without a name");
        let long = scene(json!({ "scene": { "parcels": ["0,0"] }, "display": { "title": "ä".repeat(5000) } })).unwrap();
        assert_eq!(long.name.unwrap().chars().count(), MAX_TEXT);
    }
}
