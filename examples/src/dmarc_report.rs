//! What `dmarc-report` does: reads reports, sums them up, shows them.

mod page;
mod summary;
mod table;

pub use page::html;
pub use summary::{Counts, Summary};
pub use table::{json, text};
