//! Is this address worth talking to: iprev, DNSBL, S25R, greylisting, without I/O.
