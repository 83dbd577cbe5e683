//! Contract wallets, asked by one Ethereum node over JSON-RPC.

use super::{ServiceUrl, post};
use atoll_core::Address;
use atoll_core::auth::{ContractAnswer, ContractSignature, ContractWallets, NoEthereumNode};
use atoll_proto::ethereum::keccak256;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long an answer may take. Kernels wait a second for their login.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long an answer stays true: a wallet may change its owners.
const FRESH: Duration = Duration::from_secs(60);

/// Largest answer read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Answers kept.
const MAX_ANSWERS: usize = 4096;

/// Questions at the same moment; more are refused, so that a flood of them costs nobody else the node.
const MAX_QUESTIONS: usize = 64;

/// `isValidSignature(bytes32,bytes)`: its selector, and what it answers when it is.
const IS_VALID_SIGNATURE: &str = "1626ba7e";

/// What nodes answer for a call that the contract reverted. Some of them say so in words only.
const REVERTED: i64 = 3;

/// Asks one node, and remembers what it said for a minute.
#[derive(Debug, Clone)]
pub struct Ethereum {
    node: ServiceUrl,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    answers: Mutex<HashMap<Question, (bool, Instant)>>,
    questions: Semaphore,
}

/// A signature shown to a contract, in a few bytes: the contract, and digests of text and signature.
type Question = (Address, [u8; 32], [u8; 32]);

impl Ethereum {
    /// Asks the node at this URL.
    pub fn new(node: ServiceUrl) -> Self {
        let shared = Shared { answers: Mutex::default(), questions: Semaphore::new(MAX_QUESTIONS) };
        Self { node, shared: Arc::new(shared) }
    }

    async fn ask(&self, signature: ContractSignature) -> Result<bool, NoEthereumNode> {
        let question = question(&signature);
        if let Some(known) = self.shared.known(&question) {
            return Ok(known);
        }
        let _question = self.shared.questions.try_acquire().map_err(|_| gone("too many questions at once"))?;
        let asked = self.accepts_any(&signature);
        let valid = tokio::time::timeout(PATIENCE, asked).await.map_err(|_| gone("no answer within 700 ms"))??;
        self.shared.remember(question, valid);
        Ok(valid)
    }

    /// A digest that the node could not be asked about does not keep the contract from accepting the other one.
    async fn accepts_any(&self, signature: &ContractSignature) -> Result<bool, NoEthereumNode> {
        let mut answer = Ok(false);
        for digest in signature.digests() {
            match self.accepts(signature, digest).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => answer = Err(error),
            }
        }
        answer
    }

    async fn accepts(&self, signature: &ContractSignature, digest: [u8; 32]) -> Result<bool, NoEthereumNode> {
        let call = json!({ "to": signature.contract.to_string(), "data": calldata(digest, &signature.signature) });
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [call, "latest"] });
        let answer = post(&self.node, &question, MAX_ANSWER).await.map_err(|error| gone(&error.to_string()))?;
        match (&answer["result"], &answer["error"]) {
            // An address without a contract gives an empty result.
            (Value::String(result), _) => Ok(says_yes(result)),
            (_, error) if is_revert(error) => Ok(false),
            // Overloaded, out of its quota, behind the chain: that says nothing about the signature.
            (_, Value::Object(error)) => {
                Err(gone(&format!("it answers {}", error.get("message").unwrap_or(&Value::Null))))
            }
            _ => Err(gone("an answer that is no answer")),
        }
    }
}

impl ContractWallets for Ethereum {
    fn is_valid(&self, signature: ContractSignature) -> ContractAnswer {
        let ethereum = self.clone();
        Box::pin(async move { ethereum.ask(signature).await })
    }
}

impl Shared {
    fn known(&self, question: &Question) -> Option<bool> {
        let answers = self.lock();
        let (valid, since) = answers.get(question)?;
        (since.elapsed() < FRESH).then_some(*valid)
    }

    fn remember(&self, question: Question, valid: bool) {
        let mut answers = self.lock();
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, (_, since)| since.elapsed() < FRESH);
        }
        if answers.len() < MAX_ANSWERS {
            answers.insert(question, (valid, Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, (bool, Instant)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn question(ContractSignature { contract, text, signature }: &ContractSignature) -> Question {
    (*contract, keccak256(text.as_bytes()), keccak256(signature))
}

/// Whether an error of JSON-RPC is a contract's no, and not a node's. Code and words differ from node to node; what the
/// virtual machine gave up for another reason is a no, too.
fn is_revert(error: &Value) -> bool {
    let says = |text: &str| error["message"].as_str().is_some_and(|message| message.to_lowercase().contains(text));
    error["code"] == REVERTED || ["revert", "vm exception", "vm execution", "invalid opcode"].into_iter().any(says)
}

/// The call in the contract ABI: selector, digest, where the signature begins, its length, and the signature in words.
fn calldata(digest: [u8; 32], signature: &[u8]) -> String {
    let mut data = format!("0x{IS_VALID_SIGNATURE}");
    let mut push = |bytes: &[u8]| {
        for byte in bytes {
            // Writing to a String does not fail.
            let _ = write!(data, "{byte:02x}");
        }
    };
    push(&digest);
    push(&word(64));
    push(&word(signature.len()));
    push(signature);
    push(&vec![0; signature.len().next_multiple_of(32) - signature.len()]);
    data
}

/// A number as a word of the ABI.
fn word(number: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(number as u64).to_be_bytes());
    word
}

/// Whether a result is the selector, with or without the rest of its word.
fn says_yes(result: &str) -> bool {
    result.strip_prefix("0x").and_then(|digits| digits.get(..8)) == Some(IS_VALID_SIGNATURE)
}

fn gone(reason: &str) -> NoEthereumNode {
    NoEthereumNode(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_written_as_the_abi_wants_them() {
        let data = calldata([0xab; 32], &[0xcd; 33]);
        let words = |text: &str| text.as_bytes()[10..].chunks(64).map(|word| word.to_vec()).collect::<Vec<_>>();
        assert_eq!(&data[..10], "0x1626ba7e");
        let words = words(&data);
        assert_eq!(words.len(), 5);
        assert_eq!(words[0], "ab".repeat(32).as_bytes());
        assert_eq!(words[1], format!("{:064x}", 64).as_bytes());
        assert_eq!(words[2], format!("{:064x}", 33).as_bytes());
        assert_eq!(words[4], format!("cd{}", "00".repeat(31)).as_bytes());
    }

    #[test]
    fn a_contract_that_reverts_is_told_from_a_node_in_trouble() {
        for error in [
            json!({ "code": 3, "message": "execution reverted: no" }),
            json!({ "code": -32000, "message": "VM Exception while processing transaction: revert" }),
            json!({ "code": -32015, "message": "VM execution error.", "data": "Reverted 0x" }),
            json!({ "code": -32000, "message": "invalid opcode: INVALID" }),
        ] {
            assert!(is_revert(&error), "{error}");
        }
        for error in [
            json!({ "code": -32005, "message": "daily request count exceeded" }),
            json!({ "code": -32603, "message": "Internal error" }),
            json!({ "code": -32000, "message": "header not found" }),
            json!({ "code": "3" }),
            json!("revert"),
            Value::Null,
        ] {
            assert!(!is_revert(&error), "{error}");
        }
    }

    #[test]
    fn only_the_magic_value_is_a_yes() {
        assert!(says_yes(&format!("0x1626ba7e{}", "0".repeat(56))));
        for no in ["0x", "", "0x1626ba7", "0x00000000", "1626ba7e"] {
            assert!(!says_yes(no), "{no}");
        }
    }
}
