//! Line ends of a message that is not dot-stuffed.

use bytes::{Bytes, BytesMut};
use mail_wire::framing::{LineEndPolicy, LineEndings};

/// Counts, and under [`LineEndPolicy::Normalise`] mends, CRs and LFs that stand alone, in pieces cut anywhere.
#[derive(Debug)]
pub(crate) struct LineEndFilter {
    /// `None`: the octets are binary and none of its business.
    policy: Option<LineEndPolicy>,
    seen: LineEndings,
    line: u64,
    /// The last octet was a CR; under [`LineEndPolicy::Normalise`] it is held back.
    after_cr: bool,
}

impl LineEndFilter {
    pub(crate) fn new(policy: Option<LineEndPolicy>) -> Self {
        Self {
            policy,
            seen: LineEndings::default(),
            line: 0,
            after_cr: false,
        }
    }

    pub(crate) const fn line_endings(&self) -> LineEndings {
        self.seen
    }

    /// Takes a piece in; gives what can be handed on.
    pub(crate) fn take(&mut self, octets: Bytes) -> Bytes {
        let Some(policy) = self.policy else {
            return octets;
        };
        let mends = policy != LineEndPolicy::Reject;
        let mut mended = BytesMut::new();
        for &octet in &octets {
            let after_cr = core::mem::replace(&mut self.after_cr, octet == b'\r');
            if after_cr && octet != b'\n' {
                self.bare_cr();
                if mends {
                    mended.extend_from_slice(b"\r\n");
                }
            }
            match octet {
                b'\n' => {
                    self.seen.bare_lf += u64::from(!after_cr);
                    self.line = 0;
                    if mends {
                        mended.extend_from_slice(b"\r\n");
                    }
                }
                b'\r' => {}
                _ => {
                    self.line += 1;
                    self.seen.longest_line = self.seen.longest_line.max(self.line);
                    if mends {
                        mended.extend_from_slice(&[octet]);
                    }
                }
            }
        }
        if mends { mended.freeze() } else { octets }
    }

    /// The message has ended; what was held back.
    pub(crate) fn finish(&mut self) -> Bytes {
        if !core::mem::take(&mut self.after_cr) {
            return Bytes::new();
        }
        self.bare_cr();
        match self.policy {
            Some(LineEndPolicy::Normalise) => Bytes::from_static(b"\r\n"),
            _ => Bytes::new(),
        }
    }

    const fn bare_cr(&mut self) {
        self.seen.bare_cr += 1;
        self.line = 0;
    }
}
