//! Auth chains: any text is a chain or is refused, and none of a fuzzer's making proves anything.
#![no_main]

use atoll_core::auth::{AuthChain, MAX_CHAIN_BYTES, MAX_CHAIN_LINKS};
use atoll_proto::Address;
use libfuzzer_sys::fuzz_target;

/// What the seeds sign, with a letter changed.
const CHALLENGE: &str = "dcl-0.abd";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(chain) = AuthChain::parse(text) else {
        return;
    };
    assert!(text.len() <= MAX_CHAIN_BYTES && chain.len() <= MAX_CHAIN_LINKS);
    let owner = chain.claimed_owner().to_string();
    assert_eq!(owner.parse::<Address>().as_ref(), Ok(&chain.claimed_owner()));
    assert_eq!(owner, owner.to_ascii_lowercase());
    // Signatures are slow to check.
    if chain.len() <= 4 {
        assert!(chain.verify(CHALLENGE, 1_700_000_000_000).is_err(), "nobody has signed this");
    }
});
