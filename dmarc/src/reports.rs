//! Reports: aggregate (RFC 9990) and failure (RFC 9991), made and read.
//!
//! - A receiver of mail hands one [`Row`] for each message to an [`Aggregate`], which counts equal ones together. Once a day it takes the
//!   [`Report`]s out of it, one for each policy that was seen, and each becomes a mail by [`Report::to_mail`]. To whom it may go is said by
//!   [`report_destination`](crate::report_destination), and whether it should go now by [`sending_policy`].
//! - Who gets reports reads them with [`read`], from XML, gzip, ZIP, or a whole mail: row by row with [`ReportReader`], or at once. What
//!   real reporters do wrong is forgiven where nothing but the form is at stake, and each [`Defect`](read::Defect) is named.
//! - [`failure`] has the reports about single messages.
//!
//! Reports come from strangers: every octet is counted against [`Limits`](read::Limits) before it is kept, and no entity is expanded but
//! the five of XML and character references.

#[macro_use]
mod results;
pub mod aggregate;
pub mod failure;
mod mail;
pub mod read;
mod report;
mod row;
pub mod sending_policy;
mod write;

pub use aggregate::{Added, Aggregate, Reporter};
pub use mail::{Envelope, MailError, file_name};
pub use read::ReportReader;
pub use report::{DateRange, DiscoveryMethod, PolicyPublished, Report, ReportMetadata};
pub use results::{ActionDisposition, DkimResult, DmarcAlignment, SpfResult, SpfScope};
pub use row::{AuthResults, DkimAuthResult, Identifiers, PolicyEvaluated, Row, SpfAuthResult};
pub use write::{NAMESPACE, ReportWriter};
