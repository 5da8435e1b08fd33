//! The parts of a message.

use mail_syntax::mime::{Limits, MimeTree, Part, TransferDecoder};

use crate::pieces::pieces;

/// The parts of a message are a tree: each but the first stands in one earlier part, within its body and behind its siblings; there
/// are no more, and no deeper, than allowed; a body is decoded alike in one piece and in many.
pub fn mail_syntax_mime_tree(data: &[u8]) {
    let mut limits = Limits::default();
    // Small ones, so that they are reached.
    (limits.depth, limits.parts) = (8, 64);
    let tree = MimeTree::parse(data, &limits);
    assert!(
        tree.parts().len() <= limits.parts,
        "{} parts",
        tree.parts().len()
    );
    let mut below = 0;
    for part in tree.parts() {
        let (header, body) = (part.header_range(), part.body_range());
        assert!(header.start <= header.end && header.end <= body.start);
        assert!(body.start <= body.end && body.end <= data.len());
        let ancestors = core::iter::successors(part.parent(), Part::parent).count();
        assert!(ancestors <= limits.depth, "{ancestors} parts above one");
        assert_eq!(part.parent().is_none(), part.number() == 0);
        let mut end = body.start;
        for child in part.children().chain(part.message()) {
            below += 1;
            assert_eq!(
                child.parent().map(|parent| parent.number()),
                Some(part.number())
            );
            assert!(child.number() > part.number());
            assert!(child.header_range().start >= end, "parts overlap");
            end = child.body_range().end;
            assert!(
                end <= body.end,
                "a part goes on behind the one it stands in"
            );
        }
        let (mut decoder, mut decoded) = (TransferDecoder::new(part.encoding()), Vec::new());
        for piece in pieces(part.body()) {
            decoder.push(piece, &mut decoded);
        }
        decoder.finish(&mut decoded);
        assert_eq!(decoded, part.decoded_body());
        assert!(decoded.len() <= part.octets(), "decoding made more of it");
    }
    assert_eq!(
        below + 1,
        tree.parts().len(),
        "each part is below one other"
    );
}
