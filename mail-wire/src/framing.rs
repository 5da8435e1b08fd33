//! Framers: they cut a byte stream into lines, dot-ended bodies and counted literals, bound each, and know no grammar.

mod dot;
mod line;
mod literal;

pub use dot::{BareLineEnd, DotDecoder, DotEncoder, DotPiece, LineEndPolicy, LineEndings};
pub use line::{Line, LineEnd, LineFramer, LineTooLong};
pub use literal::{Counted, LiteralMark, literal_mark};
