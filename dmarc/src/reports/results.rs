//! The words of RFC 9990's schema that are one of a few.

/// An enumeration of the schema: how each value is spelt, and back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* #[cfg_attr(feature = "serde", serde(rename = $word))] $variant,)+
        }

        impl $name {
            /// The word of the schema.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The value of exactly this word of the schema.
            #[must_use]
            pub fn of_word(word: &[u8]) -> Option<Self> {
                $(if word == $word.as_bytes() {
                    return Some(Self::$variant);
                })+
                None
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What was done with a message (ActionDispositionType).
    ActionDisposition {
        /// Nothing.
        None = "none",
        /// Nothing, because DMARC passed under a policy that would have had something done.
        Pass = "pass",
        /// It failed DMARC and was marked as suspicious.
        Quarantine = "quarantine",
        /// It failed DMARC and was refused.
        Reject = "reject",
    }
}

impl From<crate::Disposition> for ActionDisposition {
    fn from(disposition: crate::Disposition) -> Self {
        match disposition {
            crate::Disposition::None => Self::None,
            crate::Disposition::Quarantine => Self::Quarantine,
            crate::Disposition::Reject => Self::Reject,
        }
    }
}

words! {
    /// Whether a mechanism gave an aligned identifier that passed (DMARCResultType).
    DmarcAlignment {
        /// It did.
        Pass = "pass",
        /// It did not.
        Fail = "fail",
    }
}

words! {
    /// The result of a DKIM signature (DKIMResultType; RFC 8601 §2.7.1).
    DkimResult {
        /// The message was not signed.
        None = "none",
        /// The signature holds.
        Pass = "pass",
        /// The signature does not hold.
        Fail = "fail",
        /// It holds and is not acceptable to the receiver.
        Policy = "policy",
        /// It could not be processed.
        Neutral = "neutral",
        /// It may hold at another time.
        TempError = "temperror",
        /// It can never hold.
        PermError = "permerror",
    }
}

words! {
    /// The result of an SPF check (SPFResultType; RFC 8601 §2.7.2).
    SpfResult {
        /// No record.
        None = "none",
        /// The client is authorized.
        Pass = "pass",
        /// The client is not authorized.
        Fail = "fail",
        /// The client is probably not authorized.
        SoftFail = "softfail",
        /// Authorized, and not acceptable to the receiver.
        Policy = "policy",
        /// The record does not say.
        Neutral = "neutral",
        /// It may be told at another time.
        TempError = "temperror",
        /// The record is wrong.
        PermError = "permerror",
    }
}

words! {
    /// Which identity SPF was checked for (SPFDomainScope).
    SpfScope {
        /// MAIL FROM, the only one of RFC 9990.
        MailFrom = "mfrom",
        /// HELO, which RFC 7489 had beside it. It is read and never written.
        Helo = "helo",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_schemas_exactly() {
        assert_eq!(SpfResult::of_word(b"softfail"), Some(SpfResult::SoftFail));
        assert_eq!(SpfResult::of_word(b"SoftFail"), None);
        assert_eq!(DkimResult::of_word(b"softfail"), None);
        for word in ["none", "pass", "quarantine", "reject"] {
            let value = ActionDisposition::of_word(word.as_bytes());
            assert_eq!(value.map(ActionDisposition::as_str), Some(word));
        }
        assert_eq!(ActionDisposition::of_word(b""), None);
        assert_eq!(
            ActionDisposition::from(crate::Disposition::Reject),
            ActionDisposition::Reject
        );
    }
}
