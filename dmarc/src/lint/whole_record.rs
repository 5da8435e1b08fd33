//! What the tags of a record come to together.

use super::{Consequence, Linter, Severity, What};
use crate::record::{AlignmentMode, Policy, Psd, Record};

impl Linter<'_> {
    /// What the tags come to together.
    pub(super) fn whole_record(&mut self, record: &Record) {
        let has = |linter: &Self, name: &str| linter.tag_of(name).is_some();
        if !has(self, "p") {
            let consequence = if record.rua.is_empty() {
                Consequence::DoesNotApply
            } else {
                Consequence::CountsAsNone
            };
            let what = What::NoPolicy(consequence);
            self.find(
                Severity::Error,
                self.whole(),
                what,
                "begin with v=DMARC1; p=none",
            );
        }
        self.policies(record);
        self.reports(record);
        if record.test_mode {
            let weak = [record.p, record.sp, record.np];
            let enforced = weak
                .into_iter()
                .flatten()
                .any(|policy| policy != Policy::None);
            let (what, advice) = if enforced {
                (
                    What::TestMode,
                    "leave it out once the reports show that only forgeries fail",
                )
            } else {
                (What::TestModeOfNone, "leave it out")
            };
            self.find(Severity::Note, self.span_of("t"), what, advice);
        }
        for (name, mode) in [("adkim", record.adkim), ("aspf", record.aspf)] {
            if mode == AlignmentMode::Strict {
                let advice = "leave it out, unless subdomains are in the hands of others";
                self.find(
                    Severity::Note,
                    self.span_of(name),
                    What::Strict(name),
                    advice,
                );
            }
        }
        if record.psd == Psd::Yes {
            let advice = "leave it out, unless the domain is a registry's";
            self.find(
                Severity::Warning,
                self.span_of("psd"),
                What::PublicSuffix,
                advice,
            );
            // RFC 9989 §10.2: "DMARC Policy Records for multi-organizational PSDs MUST NOT include the "ruf" tag."
            if has(self, "ruf") {
                let what = What::RufOfPublicSuffix;
                self.find(Severity::Error, self.span_of("ruf"), what, "leave ruf= out");
            }
        }
    }

    fn policies(&mut self, record: &Record) {
        let Some(p) = record.p else { return };
        let sp = record.sp.map_or(("p", p), |sp| ("sp", sp));
        for (name, policy, (than, stronger)) in [("sp", record.sp, ("p", p)), ("np", record.np, sp)]
        {
            match policy {
                Some(weaker) if weaker < stronger => {
                    let what = What::Weaker {
                        name,
                        weaker,
                        than,
                        stronger,
                    };
                    let advice = match name {
                        "sp" => "forgers take a subdomain; leave sp= out once subdomains pass",
                        _ => "no mail comes from names that do not exist; write np=reject",
                    };
                    self.find(Severity::Warning, self.span_of(name), what, advice);
                }
                Some(policy) if policy == stronger => {
                    let what = What::Redundant(name);
                    self.find(
                        Severity::Note,
                        self.span_of(name),
                        what,
                        format!("leave {name}= out"),
                    );
                }
                _ => {}
            }
        }
    }

    fn reports(&mut self, record: &Record) {
        let (fo, ruf) = (self.tag_of("fo").is_some(), !record.ruf.is_empty());
        let rua = self.tag_of("rua").is_some();
        match record.p {
            Some(Policy::None) if !rua => {
                let advice = "add rua=mailto: and an address";
                self.find(
                    Severity::Warning,
                    self.span_of("p"),
                    What::NoneWithoutReports,
                    advice,
                );
            }
            Some(_) if !rua => {
                let advice = "add rua=mailto: and an address";
                self.find(Severity::Note, self.span_of("p"), What::NoReports, advice);
            }
            _ => {}
        }
        if fo && !ruf {
            let what = What::FailureOptionsWithoutRuf;
            self.find(
                Severity::Warning,
                self.span_of("fo"),
                what,
                "leave it out, or add ruf=",
            );
        }
        if ruf && !fo {
            let advice = "add fo=1 to hear of every mechanism that fails";
            let what = What::RufWithoutFailureOptions;
            self.find(Severity::Note, self.span_of("ruf"), what, advice);
        }
    }
}
