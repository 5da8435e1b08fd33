//! IMAP4rev2 and IMAP4rev1 without I/O: types, codec, server and client sessions.
