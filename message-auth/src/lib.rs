//! One inbound message, judged: SPF, DKIM, DMARC and iprev in one evaluation.
