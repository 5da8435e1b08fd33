//! How much one evaluation may ask, and what is wanted beside the result.

/// What bounds an evaluation. The defaults are those of RFC 7208.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a record. Default: 2048, four times what RFC 7208 §3.4 recommends to publish. A longer record is `permerror`; each
    /// octet is read once.
    pub record: usize,
    /// Terms that cause lookups: `include`, `a`, `mx`, `ptr`, `exists`, `redirect`, and one more for a term with `%{p}`. Default: 10
    /// (RFC 7208 §4.6.4, a MUST). Each costs up to 11 questions: with the record's own 111 in all, and 221 with
    /// `look_ahead`.
    pub terms: usize,
    /// Terms whose own lookup finds nothing. Default: 2 (RFC 7208 §4.6.4). The addresses of the hosts of an `mx` or `ptr` do not count:
    /// the text limits terms, and an exchange without an AAAA record is no mistake. Each lets a hostile record ask one more name of a
    /// third party.
    pub void_lookups: usize,
    /// Hosts of one `mx`. Default: 10 (RFC 7208 §4.6.4, a MUST); more are `permerror`. Each costs a question.
    pub mx_names: usize,
    /// Names of the client that a `ptr` or `%{p}` looks at. Default: 10 (RFC 7208 §4.6.4, a MUST); more are ignored. Each costs a
    /// question.
    pub ptr_names: usize,
    /// Octets of an explanation. Default: 512, which fits in one SMTP reply line with room (RFC 5321 §4.5.3.1.5). A longer one is
    /// dropped.
    pub explanation: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record: 2048,
            terms: 10,
            void_lookups: 2,
            mx_names: 10,
            ptr_names: 10,
            explanation: 512,
        }
    }
}

/// How to evaluate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What bounds it.
    pub limits: Limits,
    /// Whether a `fail` fetches the explanation that its domain gives. Default: no. It costs a question, and puts words of a third party
    /// into the reply.
    pub explain: Option<Explain>,
    /// Whether questions of later terms are asked while earlier ones are open: those of all terms that may still be reached, of the
    /// records they lead to, and of the hosts of an `mx`. Default: no. Result, cause and limits are the same, but the owners of domains
    /// that would not have been asked answer questions for nothing; at most [`Limits::terms`] terms are asked so.
    pub look_ahead: bool,
    /// Whether the verdict tells every term that was evaluated. Default: no.
    pub trace: bool,
}

/// What the macros of an explanation stand for that nothing else needs (RFC 7208 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explain {
    /// `%{r}`: the name of the receiving host; `unknown` where it shall not be told.
    pub receiver: String,
    /// `%{t}`: seconds since 1970.
    pub now: u64,
}
