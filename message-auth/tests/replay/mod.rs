//! What was judged once is judged the same again.

use message_auth::{Config, Recording, Verdict};

/// Writes the evaluation down as JSON, reads it, makes it again, and compares the verdicts.
pub(crate) fn check(verdict: &Verdict, message: &[u8]) {
    let recording = Recording::new(verdict, message);
    let text = serde_json::to_string(&recording).unwrap();
    let read: Recording = serde_json::from_str(&text).unwrap();
    assert_eq!(read, recording);
    assert_eq!(read.replay(&Config::default()).as_ref(), Ok(verdict));
}
