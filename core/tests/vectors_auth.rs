//! Auth chains as the original library judged them: `authchain.json`.

use atoll_core::auth;
use serde_json::Value;
use std::path::PathBuf;

/// The recorded cases, from the folder named by `ATOLL_VECTORS` or else the project's own.
fn cases() -> Vec<Value> {
    let folder = std::env::var_os("ATOLL_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")), PathBuf::from);
    let path = folder.join("authchain.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let Value::Array(cases) = file["cases"].take() else { panic!("no cases in {}", path.display()) };
    assert!(!cases.is_empty(), "no cases in {}", path.display());
    cases
}

#[test]
fn vectors_auth_chains_are_judged_as_recorded() {
    let mut accepted = 0;
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let text = |field: &str| case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"));
        let expected = &case["expected"];
        let accept = expected["accept"].as_bool().unwrap();
        let now = case["now"].as_u64().unwrap();
        let answer = auth::verify(text("authChainJson"), text("challenge"), now);
        let address = accept.then(|| expected["address"].as_str().unwrap().to_lowercase());
        if answer.as_ref().ok().map(ToString::to_string) != address {
            wrong.push(format!("{}: {answer:?}, recorded {expected}", text("name")));
        }
        accepted += usize::from(accept);
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(accepted > 0 && accepted < cases.len(), "{accepted} of {} accepted", cases.len());
}

#[test]
fn vectors_auth_chains_fail_for_another_challenge() {
    for case in cases() {
        let challenge = format!("{}!", case["challenge"].as_str().unwrap());
        let chain = case["authChainJson"].as_str().unwrap();
        assert!(auth::verify(chain, &challenge, case["now"].as_u64().unwrap()).is_err(), "{}", case["name"]);
    }
}
