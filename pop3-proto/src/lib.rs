//! POP3 without I/O: commands, replies, server and client sessions.
