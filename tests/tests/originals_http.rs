//! What existing kernels and pages ask over HTTP: `/about` in all its forms, `/status`, who is where, hot scenes.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use atoll_client::{Position, Way};
use atoll_tests::{Answer, Edge, Peer, Upstream, ask, eventually};
use serde_json::{Value, json};

/// The keys of an object of `text`, the first whose text begins with `key`, in the order in which they are written.
fn keys(text: &str, start: &str) -> Vec<String> {
    let object = &text[text.find(start).unwrap() + start.len()..];
    let (mut keys, mut depth, mut rest) = (Vec::new(), 0, object);
    loop {
        match rest.chars().next().unwrap() {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '"' => {
                let end = rest[1..].find('"').unwrap() + 1;
                if depth == 1 && rest[end + 1..].starts_with(':') {
                    keys.push(rest[1..end].to_owned());
                }
                rest = &rest[end..];
            }
            _ => {}
        }
        rest = &rest[1..];
        if depth == 0 {
            return keys;
        }
    }
}

async fn about(edge: &Edge) -> Answer {
    ask(edge.http(), "GET", "/about", &[]).await
}

async fn list(edge: &Edge, path: &str) -> Value {
    ask(edge.http(), "GET", path, &[]).await.json()
}

/// A peer that stands somewhere, as soon as it is in an island.
async fn standing(edge: &Edge, x: f32, z: f32) -> Peer {
    let mut peer = edge.peer(Way::WebSocket).await;
    peer.heartbeat(Position { x, y: 0.0, z });
    peer.seated(1).await;
    peer
}

#[tokio::test(flavor = "multi_thread")]
async fn about_says_what_there_is_in_the_originals_order() {
    let edge = Edge::start().await;
    let answer = about(&edge).await;
    assert_eq!(answer.status, 200);
    assert_eq!(keys(&answer.body, ""), ["healthy", "configurations", "comms", "bff", "acceptingUsers"]);
    assert_eq!(keys(&answer.body, "\"configurations\":"), ["globalScenesUrn", "scenesUrn", "realmName"]);
    assert_eq!(keys(&answer.body, "\"comms\":"), ["healthy", "protocol", "usersCount", "adapter", "atoll"]);
    let expected = ["healthy", "version", "userCount", "protocolVersion", "publicUrl"];
    assert_eq!(keys(&answer.body, "\"bff\":"), expected);
    let about = answer.json();
    assert_eq!((&about["healthy"], &about["acceptingUsers"]), (&json!(true), &json!(true)));
    assert_eq!(about["configurations"], json!({ "globalScenesUrn": [], "scenesUrn": [], "realmName": "atoll" }));
    assert_eq!(about["comms"]["protocol"], "v3");
    let websocket = edge.http().replace("http", "ws");
    assert_eq!(about["comms"]["adapter"], format!("archipelago:archipelago:{websocket}/archipelago/ws"));
    assert_eq!(list(&edge, "/comms/about").await, about);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_content_and_lambdas_count_when_they_are_named() {
    let (catalyst, dead) = (Upstream::start().await, Upstream::start().await);
    let health = |content: &str, lambda: &str| json!({ "content": content, "lambda": lambda, "comms": "Unhealthy" });
    catalyst.answer("GET /lambdas/health", 200, &health("Healthy", "Healthy"));
    catalyst.answer(
        "GET /lambdas/status",
        200,
        &json!({ "catalystVersion": "4.0.1", "commitHash": "abc", "version": 3 }),
    );
    catalyst.answer("GET /content/status", 200, &json!({ "catalystVersion": "4.0.2", "commitHash": 7 }));
    let url = catalyst.url();
    let servers = format!("[catalyst]\ncontent_url = '{url}/content'\nlambdas_url = '{url}/lambdas/'\n");
    let edge = Edge::start_configured(&format!("{servers}[ethereum]\nnetwork = 'sepolia'\n")).await;
    let answer = eventually("the servers' versions", || async {
        Some(about(&edge).await).filter(|answer| answer.json()["lambdas"]["version"] == "4.0.1")
    })
    .await;
    assert_eq!(answer.status, 200);
    let expected = ["healthy", "content", "lambdas", "configurations", "comms", "bff", "acceptingUsers"];
    assert_eq!(keys(&answer.body, ""), expected);
    assert_eq!(keys(&answer.body, "\"lambdas\":"), ["healthy", "version", "commitHash", "publicUrl"]);
    let expected = ["networkId", "globalScenesUrn", "scenesUrn", "realmName"];
    assert_eq!(keys(&answer.body, "\"configurations\":"), expected);
    let before = answer.json();
    let content = json!({ "healthy": true, "version": "4.0.2", "publicUrl": format!("{url}/content") });
    assert_eq!(before["content"], content);
    let lambdas =
        json!({ "healthy": true, "version": "4.0.1", "commitHash": "abc", "publicUrl": format!("{url}/lambdas/") });
    assert_eq!(before["lambdas"], lambdas);
    assert_eq!(before["configurations"]["networkId"], 11_155_111);

    // As lambdas tell it: by the status, too.
    catalyst.answer("GET /lambdas/health", 503, &health("Healthy", "Unhealthy"));
    let answer =
        eventually("an ill realm", || async { Some(about(&edge).await).filter(|answer| answer.status != 200) }).await;
    assert_eq!(answer.status, 503);
    let mut expected = before;
    expected["healthy"] = false.into();
    expected["lambdas"]["healthy"] = false.into();
    expected["acceptingUsers"] = false.into();
    assert_eq!(answer.json(), expected, "the same body");
    assert_eq!(edge.get("/health/ready").await.0, 200, "the edge itself is well");
    assert!(catalyst.asked("GET /lambdas/health").len() >= 2);
    assert_eq!(catalyst.asked("GET /lambdas/status").len(), 1, "versions are remembered");

    // Content alone, which tells its status; and content that is gone.
    let edge = Edge::start_configured(&format!("catalyst.content_url = '{url}/content'")).await;
    let answer =
        eventually("a healthy realm", || async { Some(about(&edge).await).filter(|answer| answer.status == 200) })
            .await;
    assert!(answer.json()["lambdas"].is_null());
    let gone = dead.url().to_owned();
    drop(dead);
    let edge = Edge::start_configured(&format!("catalyst.content_url = '{gone}'")).await;
    let answer = about(&edge).await;
    assert_eq!((answer.status, &answer.json()["content"]["publicUrl"]), (503, &json!(format!("{gone}/"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_with_one_room_says_so_in_both_forms() {
    let adapter = "livekit:wss://rooms.example.org?access_token=a.b.c";
    let edge = Edge::start_configured(&format!("comms.fixed_adapter = '{adapter}'")).await;
    let answer = about(&edge).await;
    let expected = ["healthy", "protocol", "usersCount", "fixedAdapter", "adapter", "atoll"];
    assert_eq!(keys(&answer.body, "\"comms\":"), expected);
    let comms = &answer.json()["comms"];
    assert_eq!((&comms["healthy"], &comms["fixedAdapter"]), (&json!(true), &json!(adapter)));
    assert_eq!(comms["adapter"], format!("fixed-adapter:{adapter}"));
    // Native clients have their islands as ever.
    standing(&edge, 8.0, 8.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_has_what_readers_of_the_originals_look_for() {
    let edge = Edge::start().await;
    let _peer = edge.peer(Way::WebSocket).await;
    for path in ["/status", "/comms/status"] {
        let status = list(&edge, path).await;
        assert!(status["commitHash"].is_string() && status["version"].is_string(), "{status}");
        assert_eq!(status["userCount"], 1);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        assert!(now.abs_diff(status["currentTime"].as_u64().unwrap()) < 60_000, "{status}");
        assert!(status["region"]["sessions"] == 1, "Atoll's own is there, too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_name_peers_under_both_prefixes_unless_they_are_private() {
    for public in [true, false] {
        let edge = Edge::start_configured(&format!("public_peers = {public}")).await;
        let peer = standing(&edge, -8.0, 40.0).await;
        let address = peer.address().to_string();
        for prefix in ["", "/comms"] {
            let islands = eventually("an island", || async {
                let islands = list(&edge, &format!("{prefix}/islands")).await;
                Some(islands).filter(|islands| islands["islands"].get(0).is_some())
            })
            .await;
            let island = &islands["islands"][0];
            assert_eq!((&islands["ok"], &island["maxPeers"]), (&json!(true), &json!(100)));
            assert_eq!((&island["center"], &island["radius"]), (&json!([-8.0, 0.0, 40.0]), &json!(0.0)));
            let id = island["id"].as_str().unwrap();
            assert_eq!(&list(&edge, &format!("{prefix}/islands/{id}")).await["id"], id);
            assert_eq!(ask(edge.http(), "GET", &format!("{prefix}/islands/none"), &[]).await.status, 404);
            let parcels = json!({ "parcels": [{ "peersCount": 1, "parcel": { "x": -1, "y": 2 } }] });
            assert_eq!(list(&edge, &format!("{prefix}/parcels")).await, parcels);
            assert_eq!(list(&edge, &format!("{prefix}/stats/parcels")).await, parcels);
            let core = json!({ "healthy": true, "userCount": 1 });
            assert_eq!(list(&edge, &format!("{prefix}/core-status")).await, core);
            let one = ask(edge.http(), "GET", &format!("{prefix}/peers/{address}"), &[]).await;
            let all = list(&edge, &format!("{prefix}/peers")).await;
            let some = list(&edge, &format!("{prefix}/peers?id={address}&id=0x0")).await;
            if !public {
                let nobody = json!({ "ok": true, "peers": [] });
                assert_eq!((&all, &some, &island["peers"]), (&nobody, &nobody, &json!([])));
                assert_eq!((one.status, one.json()), (404, json!({ "ok": false, "peer": null })));
                assert!(!format!("{islands}{all}{some}").contains(&address));
                continue;
            }
            let listed = &all["peers"][0];
            assert_eq!((&listed["id"], &listed["address"]), (&json!(address), &json!(address)));
            assert_eq!((&listed["parcel"], &listed["position"]), (&json!([-1, 2]), &json!([-8.0, 0.0, 40.0])));
            assert!(listed["lastPing"].is_u64());
            let without_time = |peer: &Value| [peer["id"].clone(), peer["parcel"].clone(), peer["position"].clone()];
            for other in [&some["peers"][0], &island["peers"][0], &one.json()["peer"]] {
                assert_eq!(without_time(other), without_time(listed));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_scenes_are_where_the_peers_are() {
    let content = Upstream::start().await;
    let scene = |id: &str, title: &str, parcels: &[&str]| {
        let display = json!({ "title": title, "navmapThumbnail": "a.png", "description": "d" });
        let scene = json!({ "base": parcels[0], "parcels": parcels });
        let metadata =
            json!({ "display": display, "scene": scene, "contact": { "name": "Ada" }, "source": { "projectId": "p" } });
        json!({ "id": id, "pointers": parcels, "content": [{ "file": "a.png", "hash": "bafp" }], "metadata": metadata })
    };
    let entities =
        json!([scene("quiet", "Quiet", &["9,9"]), scene("busy", "Busy", &["0,0", "0,1"]), { "id": "broken" }]);
    content.answer("POST /entities/active", 200, &entities);
    let edge = Edge::start_configured(&format!("catalyst.content_url = '{}'", content.url())).await;
    let peers = [(8.0, 8.0), (8.0, 90.0), (152.0, 152.0)].map(|(x, z)| standing(&edge, x, z));
    let [first, _second, _third] = futures_util::future::join_all(peers).await.try_into().ok().unwrap();
    // Two more on the busy scene, one on each of its parcels.
    let mut others = Vec::new();
    for z in [9.0, 24.0] {
        let other = edge.peer(Way::WebSocket).await;
        other.heartbeat(Position { x: 8.0, y: 0.0, z });
        others.push(other);
    }
    let asked = || content.asked("POST /entities/active");
    let pointers = || {
        let lists = asked().into_iter().map(|asked| asked.body["pointers"].as_array().unwrap().clone());
        let mut pointers: Vec<String> = lists.flatten().map(|pointer| pointer.as_str().unwrap().to_owned()).collect();
        pointers.sort();
        pointers
    };
    let hot = eventually("all peers in scenes, all of their parcels known", || async {
        let hot = list(&edge, "/hot-scenes").await;
        let is_whole = hot[0]["usersTotalCount"] == 3 && hot[1]["usersTotalCount"] == 1;
        Some(hot).filter(|_| is_whole && pointers().contains(&"0,1".to_owned()))
    })
    .await;
    let thumbnail = format!("{}/contents/bafp", content.url());
    let busy = json!({
        "id": "busy", "name": "Busy", "baseCoords": [0, 0], "usersTotalCount": 3, "parcels": [[0, 0], [0, 1]],
        "thumbnail": thumbnail, "creator": "Ada", "projectId": "p", "description": "d",
        "realms": [{
            "serverName": "atoll", "usersCount": 3, "maxUsers": 10_000, "userParcels": [[0, 0], [0, 0], [0, 1]],
        }],
    });
    assert_eq!(hot[0], busy);
    assert_eq!((hot.as_array().unwrap().len(), &hot[1]["id"]), (2, &json!("quiet")));
    assert_eq!(list(&edge, "/comms/hot-scenes").await, hot);

    // What is known is not asked again, neither the scenes nor that there is none.
    assert_eq!(pointers(), ["0,0", "0,1", "0,5", "9,9"], "each parcel once");
    let questions = asked().len();
    content.answer("POST /entities/active", 500, &json!("gone"));
    assert_eq!(list(&edge, "/hot-scenes").await, hot);
    assert_eq!(asked().len(), questions);
    // Whoever walks where nobody was makes another, which is not answered; the rest is told all the same.
    first.heartbeat(Position { x: -100.0, y: 0.0, z: -100.0 });
    eventually("another question", || async {
        let hot = list(&edge, "/hot-scenes").await;
        Some(()).filter(|()| asked().len() > questions && hot[0]["usersTotalCount"] == 2)
    })
    .await;

    let edge = Edge::start().await;
    standing(&edge, 8.0, 8.0).await;
    assert_eq!(list(&edge, "/hot-scenes").await, json!([]), "nobody to ask");
}
