//! The words of mail: addresses, domains, header fields, dates, tag lists, Authentication-Results, MIME.
