//! A large aggregate report, and the least that reading it can cost. `benches/peers` reads the same.
#![allow(clippy::expect_used, reason = "what is read was written here")]

use core::fmt::Write as _;
use core::hint::black_box;

use quick_xml::Reader;
use quick_xml::events::Event;

/// How many records it has.
pub const RECORDS: usize = 10_000;

/// As the large reporters write them: indented, with two signatures and SPF.
#[must_use]
pub fn report() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback>\n  <version>1.0</version>\n  <report_metadata>\n    \
         <org_name>receiver.example</org_name>\n    <email>noreply@receiver.example</email>\n    <report_id>1</report_id>\n    \
         <date_range>\n      <begin>1700000000</begin>\n      <end>1700086399</end>\n    </date_range>\n  </report_metadata>\n  \
         <policy_published>\n    <domain>example.com</domain>\n    <p>reject</p>\n  </policy_published>\n",
    );
    for number in 0..RECORDS {
        let (high, low) = (number / 250, number % 250);
        write!(
            xml,
            "  <record>\n    <row>\n      <source_ip>198.51.{high}.{low}</source_ip>\n      <count>{count}</count>\n      \
             <policy_evaluated>\n        <disposition>none</disposition>\n        <dkim>pass</dkim>\n        <spf>fail</spf>\n      \
             </policy_evaluated>\n    </row>\n    <identifiers>\n      <envelope_from>bounces{low}.example.net</envelope_from>\n      \
             <header_from>example.com</header_from>\n    </identifiers>\n    <auth_results>\n      <dkim>\n        \
             <domain>example.com</domain>\n        <selector>s{high}</selector>\n        <result>pass</result>\n      </dkim>\n      \
             <dkim>\n        <domain>esp.example.net</domain>\n        <selector>2025</selector>\n        <result>pass</result>\n      \
             </dkim>\n      <spf>\n        <domain>bounces{low}.example.net</domain>\n        <scope>mfrom</scope>\n        \
             <result>pass</result>\n      </spf>\n    </auth_results>\n  </record>\n",
            count = number % 7 + 1,
        )
        .expect("a string takes all");
    }
    xml.push_str("</feedback>\n");
    xml
}

/// The least that a reader built on quick-xml could cost: each event, looked at no further.
pub fn bare_pass(xml: &str) -> usize {
    let mut reader = Reader::from_str(xml);
    let mut events = 0;
    loop {
        match reader.read_event().expect("XML") {
            Event::Eof => return events,
            event => {
                black_box(&event);
                events += 1;
            }
        }
    }
}
