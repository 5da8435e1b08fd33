//! DEFLATE in both directions (RFC 4978).

use bytes::{Buf as _, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zeroize::Zeroize as _;

/// What one step inflates at most: a bomb waits in its small form until the session has taken what came before.
const WINDOW: usize = 16 * 1024;

/// A pair of raw DEFLATE streams. Costs about 300 KiB while it stands.
#[derive(Debug)]
pub(super) struct DeflateLayer {
    inflate: Decompress,
    deflate: Compress,
    /// Compressed, waiting to be inflated, where TLS stands below.
    pub(super) queue: BytesMut,
    /// The last step filled its window, so there may be more without more input.
    more: bool,
}

impl DeflateLayer {
    pub(super) fn new(queue: BytesMut) -> Self {
        Self {
            // Raw streams without zlib's header: RFC 4978 §4: "The windowBits value must be in the range -8 to -15, or else
            // deflateInit2() uses the wrong format."
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::default(), false),
            queue,
            more: false,
        }
    }

    /// Whether something waits that was not inflated yet.
    pub(super) fn has_more(&self) -> bool {
        self.more || !self.queue.is_empty()
    }

    /// Inflates at most a window; whether anything moved, `Err` where the stream is broken or ended.
    pub(super) fn take_in(&mut self, plain: &mut BytesMut) -> Result<bool, ()> {
        if self.queue.is_empty() && !self.more {
            return Ok(false);
        }
        let mut window = [0; WINDOW];
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(&self.queue, &mut window, FlushDecompress::Sync);
        let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0);
        let made = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
        self.queue.advance(taken.min(self.queue.len()));
        plain.extend_from_slice(window.get(..made).unwrap_or_default());
        window.zeroize();
        self.more = made == WINDOW;
        match status {
            Ok(Status::Ok | Status::BufError) => Ok(taken > 0 || made > 0),
            Ok(Status::StreamEnd) | Err(_) => Err(()),
        }
    }

    /// Deflates all of `plain`, flushed so that the peer can read all of it.
    pub(super) fn put_out(&mut self, plain: &mut BytesMut, wire: &mut BytesMut) {
        if plain.is_empty() {
            return;
        }
        let mut window = [0; 4096];
        loop {
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            // With room left in the window the flush is complete.
            let _ = self
                .deflate
                .compress(plain, &mut window, FlushCompress::Sync);
            let taken = usize::try_from(self.deflate.total_in() - before_in).unwrap_or(0);
            let made = usize::try_from(self.deflate.total_out() - before_out).unwrap_or(0);
            plain.advance(taken.min(plain.len()));
            wire.extend_from_slice(window.get(..made).unwrap_or_default());
            if made < window.len() {
                return;
            }
        }
    }
}
