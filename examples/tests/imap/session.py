"""Drives the server as a mail program would: session.py HOST IMAP_PORT IMAPS_PORT CERTIFICATE USER PASSWORD ODD_FILE"""

import imaplib
import re
import ssl
import sys

host, port, tls_port, certificate, user, password, odd_file = sys.argv[1:]
port, tls_port = int(port), int(tls_port)
context = ssl.create_default_context(cafile=certificate)
odd = open(odd_file, "rb").read()


def check(truth, *what):
    if not truth:
        raise AssertionError(*what)


def connect():
    return imaplib.IMAP4_SSL(host, tls_port, ssl_context=context, timeout=20)


def ok(answer):
    check(answer[0] == "OK", answer)
    return answer[1]


def refused(call, *arguments):
    try:
        kind, data = call(*arguments)
    except imaplib.IMAP4.error as error:
        return str(error)
    check(kind == "NO", call, arguments, kind, data)
    return data[0].decode()


def append(connection, mailbox, flags, message, moment=None):
    """imaplib's own would make CRLF of every bare CR and LF."""
    connection.literal = message
    arguments = [mailbox] + [one for one in (flags, moment) if one]
    return connection._simple_command("APPEND", *arguments)


# Without TLS nobody logs in; with STARTTLS, one does.
plain = imaplib.IMAP4(host, port, timeout=20)
check("LOGINDISABLED" in plain.capabilities, plain.capabilities)
check("PRIVACYREQUIRED" in refused(plain.login, user, password))
plain.starttls(context)
check("LOGINDISABLED" not in plain.capabilities, plain.capabilities)
ok(plain.login(user, password))
plain.logout()

one = connect()
check("AUTHENTICATIONFAILED" in refused(one.login, user, "wrong"))
check("AUTHENTICATIONFAILED" in refused(one.login, "nobody", password))
ok(one.login(user, password))

# LIST
listed = b"\n".join(ok(one.list()))
for name, use in [(b"Drafts", b"\\Drafts"), (b"Junk", b"\\Junk"), (b"Sent", b"\\Sent"), (b"Trash", b"\\Trash")]:
    check(re.search(re.escape(use) + rb'[^)]*\) "/" "?' + name, listed), listed)
check(b"INBOX" in listed, listed)
check(ok(one.list('""', '""')) == [b'(\\Noselect) "/" ""'], one.list('""', '""'))

# Byte-exact fetch of what was delivered.
check(ok(one.select("inBox")) == [b"2"])
check(one.response("UIDVALIDITY")[1][0] is not None)
whole = ok(one.fetch("1", "(UID FLAGS BODY.PEEK[])"))
check(whole[0][1] == odd, len(whole[0][1]), len(odd))
check(b"\\Seen" not in whole[0][0] + whole[1], whole[0][0])
check(ok(one.fetch("1", "(RFC822.SIZE)")) == [b"1 (RFC822.SIZE %d)" % len(odd)])
for start, length in [(0, 10), (100_000, 70_000), (len(odd) - 5, 100), (len(odd) + 1, 5)]:
    piece = ok(one.fetch("1", "(BODY.PEEK[]<%d.%d>)" % (start, length)))
    check(piece[0][1] == odd[start : start + length], start, length)
text = ok(one.fetch("1", "(BODY[TEXT])"))
check(text[0][1] == odd[odd.index(b"\r\n\r\n") + 4 :])
check(b"\\Seen" in text[0][0] + text[1], text[0][0], text[1])

# Envelope and structure of a message with parts.
envelope = ok(one.fetch("2", "(ENVELOPE)"))[0]
check(b'"A report"' in envelope and b'"anna" "example.org"' in envelope, envelope)
structure = ok(one.fetch("2", "(BODYSTRUCTURE)"))[0]
check(b'("text" "plain"' in structure.lower() and b'"report.bin"' in structure, structure)
check(ok(one.fetch("2", "(BODY.PEEK[1])"))[0][1] == b"See the report.\r\n")
check(ok(one.fetch("2", "(BODY.PEEK[2.MIME])"))[0][1].startswith(b"Content-Type: application/octet-stream"))
fields = ok(one.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1]
check(fields == b"Subject: A report\r\n\r\n", fields)

# SEARCH
check(ok(one.search(None, "ALL")) == [b"1 2"])
check(ok(one.search(None, "SEEN")) == [b"1"])
check(ok(one.search(None, "SUBJECT", '"report"')) == [b"2"])
check(ok(one.search(None, "BODY", '"see the"')) == [b"2"])
check(ok(one.search(None, "LARGER", "100000")) == [b"1"])
check(ok(one.uid("SEARCH", None, "UNSEEN UID 1:*")) == [b"2"])

# APPEND
check("TRYCREATE" in refused(one.append, "Nowhere", "", None, b"Subject: x\r\n\r\n"))
moment = '"17-Jul-1996 02:44:25 -0700"'
appended = ok(append(one, "Sent", "(\\Seen $Forwarded)", odd, moment))
check(re.match(rb"\[APPENDUID \d+ 1\]", appended[0]), appended)
check(b"MESSAGES 1 " in ok(one.status("Sent", "(MESSAGES UIDNEXT UNSEEN)"))[0])
status = ok(one.status("Sent", "(MESSAGES UIDNEXT UNSEEN RECENT UIDVALIDITY)"))[0]
check(re.search(rb"MESSAGES 1 UIDNEXT 2 UNSEEN 0 RECENT 0 UIDVALIDITY \d+", status), status)
ok(one.select("Sent"))
sent = ok(one.fetch("1", "(INTERNALDATE FLAGS BODY.PEEK[])"))
check(sent[0][1] == odd, len(sent[0][1]), len(odd))
check(b'"17-Jul-1996 09:44:25 +0000"' in sent[0][0], sent[0][0])
check(b"$Forwarded" in sent[0][0] and b"\\Seen" in sent[0][0], sent[0][0])
check("NONEXISTENT" in refused(one.select, "Nowhere"))

# What another connection does is told in IDLE.
two = connect()
ok(two.login(user, password))
ok(two.select("INBOX"))
one.select("INBOX")
one.send(b"i IDLE\r\n")
check(one.readline().startswith(b"+ "))


def wait_for(end):
    while True:
        line = one.readline()
        check(line, "no line", end)
        if line.rstrip().endswith(end):
            return line


ok(two.append("INBOX", "", None, b"Subject: new\r\n\r\nNew.\r\n"))
wait_for(b"3 EXISTS")
ok(two.store("2", "+FLAGS", "(\\Flagged)"))
check(b"\\Flagged" in wait_for(b")"))
ok(two.store("1", "+FLAGS.SILENT", "(\\Deleted)"))
wait_for(b")")
check(ok(two.expunge()) == [b"1"])
wait_for(b"1 EXPUNGE")
one.send(b"DONE\r\n")
check(wait_for(b"IDLE terminated").startswith(b"i OK"))
check(ok(one.search(None, "ALL")) == [b"1 2"])

# Whoever has not heard of an EXPUNGE is not misled: what is there is given, and NO tells of the rest.
ok(two.uid("STORE", "3", "+FLAGS", "(\\Deleted)"))
ok(two.expunge())
kind, data = one.fetch("1:2", "(UID)")
check(kind == "NO" and b"EXPUNGEISSUED" in data[-1], kind, data)
ok(one.noop())
check(ok(one.search(None, "ALL")) == [b"1"])

# STORE, COPY, MOVE, UID EXPUNGE
stored = b"".join(ok(one.store("1", "FLAGS", "(keyword \\Draft)")))
check(b"keyword" in stored, stored)
check(ok(one.store("1", "-FLAGS", "(KEYWORD)")) == [b"1 (FLAGS (\\Draft))"])
check("TRYCREATE" in refused(one.copy, "1", "Nowhere"))
copied = ok(one.copy("1", "Trash"))
check(re.match(rb"\[COPYUID \d+ 2 1\]", copied[0]), copied)
ok(one.create("Work/2026/&U,BTFw-"))
check(b"&U,BTFw-" in b"".join(ok(one.list('""', '"Work/%/%"'))))
imaplib.Commands["MOVE"] = ("SELECTED",)
ok(one.uid("MOVE", "2", "Work/2026/&U,BTFw-"))
check(ok(one.search(None, "ALL")) == [b""], one.search(None, "ALL"))
ok(one.select("Work/2026/&U,BTFw-"))
check(b"\\Draft" in ok(one.fetch("1", "(FLAGS)"))[0])
ok(one.append("Work/2026/&U,BTFw-", "(\\Deleted)", None, b"Subject: 2\r\n\r\n"))
ok(one.append("Work/2026/&U,BTFw-", "(\\Deleted)", None, b"Subject: 3\r\n\r\n"))
ok(one.uid("EXPUNGE", "3"))
check(ok(one.uid("SEARCH", None, "ALL")) == [b"1 2"])
ok(one.close())
check(b"MESSAGES 1" in ok(one.status("Work/2026/&U,BTFw-", "(MESSAGES)"))[0])

# Mailboxes
check("ALREADYEXISTS" in refused(one.create, "Trash"))
check("CANNOT" in refused(one.delete, "INBOX"))
check("NONEXISTENT" in refused(one.delete, "Nowhere"))
ok(one.rename("Work", "Job"))
check(b"Job/2026" in b"".join(ok(one.list('""', '"*"'))))
ok(one.delete("Job/2026"))
shown = b"".join(ok(one.list('""', '"Job/%"')))
check(b"\\NonExistent" in shown and b"\\HasChildren" in shown, shown)
subscribed = re.compile(rb'"/" "?Job"?$', re.MULTILINE)
ok(one.unsubscribe("Job"))
check(not subscribed.search(b"\n".join(ok(one.lsub()))), one.lsub())
ok(one.subscribe("Job"))
check(subscribed.search(b"\n".join(ok(one.lsub()))), one.lsub())

# EXAMINE changes nothing.
ok(one.append("INBOX", "", None, b"Subject: unseen\r\n\r\nbody\r\n"))
ok(one.select("INBOX", readonly=True))
ok(one.fetch("1", "(BODY[])"))
check(ok(one.search(None, "UNSEEN")) == [b"1"])
check("READ-ONLY" in refused(one.store, "1", "+FLAGS", "(\\Seen)"))

# A message with a NUL is refused, and an APPEND cut short leaves nothing.
check("CANNOT" in refused(one.append, "Sent", "", None, b"Subject: a\0b\r\n\r\n"))
two.send(b"x APPEND Sent {1000}\r\n")
check(two.readline().startswith(b"+"))
two.send(b"Subject: half\r\n")
two.shutdown()
check(b"MESSAGES 1)" in ok(one.status("Sent", "(MESSAGES)"))[0])

# Three failed logins end the connection.
three = connect()
for _ in range(3):
    refused(three.login, user, "wrong")
check(b"BYE" in three.readline())
one.logout()
print("done")
