//! Octets into commands and responses.

pub(crate) mod command;
pub(crate) mod response;

pub use command::parse_command;
pub use response::parse_response;
