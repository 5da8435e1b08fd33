//! SMTP and LMTP without I/O: commands, replies, extensions, server and client sessions.
