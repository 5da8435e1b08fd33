#!/usr/bin/env python3
"""Starts the built mail server as a process and drives it with clients that were not written here."""
import base64, email.policy, hashlib, imaplib, json, os, poplib, shutil, signal, smtplib, socket, ssl, subprocess, sys, tempfile, time

SERVER = os.path.abspath(sys.argv[1])
PASSWORDS = {"ann": "one two", "ben": "drei & vier", "cat": "пять", "dan": 'q"uo\\te'}
TLS = ssl._create_unverified_context()
passed = 0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check(what, holds, seen=""):
    global passed
    if not holds:
        sys.exit(f"FAILED: {what}\n{seen}")
    passed += 1
    print(f"ok: {what}")


class Server:
    """A server with a configuration of its own, in a folder that outlives its restarts."""

    def __init__(self, folder, more=""):
        self.folder = folder
        self.port = {name: free_port() for name in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")}
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=mail.test",
             "-addext", "subjectAltName=DNS:mail.test,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
            cwd=folder, check=True, capture_output=True)
        self.sh("dkim-key", "--domain", "mail.test", "--selector", "s1", "--out", os.path.join(folder, "s1.pem"))
        listen = "\n".join(f'{name} = ["127.0.0.1:{port}"]' for name, port in self.port.items())
        with open(os.path.join(folder, "zone"), "w") as zone:
            zone.write('$TTL 60\n@ IN TXT "root"\nmail.test. IN TXT "v=spf1 ip4:127.0.0.0/8 -all"\n'
                       'good.test. IN TXT "v=spf1 ip4:127.0.0.0/8 -all"\n_dmarc.good.test. IN TXT "v=DMARC1; p=reject"\n'
                       'forged.test. IN TXT "v=spf1 -all"\n_dmarc.forged.test. IN TXT "v=DMARC1; p=reject"\n')
        with open(os.path.join(folder, "mail-server.toml"), "w") as config:
            config.write(f'hostname = "mail.test"\ndomains = ["mail.test"]\ndata = "mail"\n[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n'
                         f'[listen]\n{listen}\n[aliases]\n"all@mail.test" = ["ann@mail.test", "ben@mail.test"]\n'
                         f'[dns]\nzone = "zone"\n[failed_login]\ndelay = 50\n{more}\n'
                         '[[dkim]]\ndomain = "mail.test"\nselector = "s1"\nkey = "s1.pem"\n')
        for name, password in PASSWORDS.items():
            self.sh("--config", "mail-server.toml", "user", "add", name, "--address", f"{name}@mail.test", text=password + "\n")
        self.sh("--config", "mail-server.toml", "check-config")
        self.process = None

    def sh(self, *arguments, text=""):
        return subprocess.run([SERVER, *arguments], cwd=self.folder, input=text, text=True, check=True, capture_output=True).stdout

    def start(self):
        self.process = subprocess.Popen([SERVER, "--config", "mail-server.toml"], cwd=self.folder,
                                        stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.folder, "log"), "a"))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port["pop3s"]), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("the server did not start:\n" + open(os.path.join(self.folder, "log")).read())

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(20)

    def smtp(self, starttls=True):
        client = smtplib.SMTP("127.0.0.1", self.port["smtp"], "client.test", timeout=30)
        if starttls:
            client.starttls(context=TLS)
            client.ehlo("client.test")
        return client

    def imap(self, user):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.port["imaps"], ssl_context=TLS)
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORDS[user]}".encode())
        return client

    def pop3(self, user):
        client = poplib.POP3_SSL("127.0.0.1", self.port["pop3s"], context=TLS)
        client.user(user)
        client.pass_(PASSWORDS[user])
        return client

    def newest(self, user):
        client = self.imap(user)
        client.select("INBOX", readonly=True)
        numbers = client.search(None, "ALL")[1][0].split()
        octets = client.fetch(numbers[-1], "(BODY.PEEK[])")[1][0][1] if numbers else b""
        client.logout()
        return octets, len(numbers)


def message(subject, sender="carol@good.test", body=b"one\r\n..two dots\r\n.\r\nthree\r\n"):
    return b"From: <%s>\r\nTo: <ann@mail.test>\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <%s@good.test>\r\n\r\n%s" % (
        sender.encode(), subject.encode(), hashlib.sha1(subject.encode()).hexdigest().encode(), body)


def command(*arguments, data=None):
    return subprocess.run(arguments, input=data, capture_output=True, timeout=60)


def raw(port, *pieces, tls=False):
    """Sends octets as they are and gives what came back."""
    s = socket.create_connection(("127.0.0.1", port), 10)
    if tls:
        s = TLS.wrap_socket(s)
    got = s.recv(4096)
    for piece in pieces:
        s.sendall(piece)
        time.sleep(0.2)
    s.settimeout(2)
    try:
        while more := s.recv(65536):
            got += more
    except (TimeoutError, OSError):
        pass
    s.close()
    return got


def mail_flow(server):
    one = message("by DATA")
    with server.smtp() as client:
        client.mail("carol@good.test")
        client.rcpt("ann@mail.test")
        code, _ = client.data(one)
        check("DATA is taken under STARTTLS", code == 250)
    octets, _ = server.newest("ann")
    check("the message by DATA comes back byte for byte by IMAP", octets.endswith(one) and octets.startswith(b"Return-Path: <carol@good.test>\r\n"), octets)
    check("it was judged", b"spf=pass" in octets and b"dmarc=pass" in octets, octets)
    pop = server.pop3("ann")
    lines = b"\r\n".join(pop.retr(1)[1]) + b"\r\n"
    pop.quit()
    check("and by POP3", lines == octets, lines)
    two = message("by BDAT", body=b"no dot is stuffed here\r\n.\r\n..\r\n")
    with server.smtp() as client:
        client.mail("carol@good.test")
        client.rcpt("ann@mail.test")
        half = len(two) // 2
        client.send(b"BDAT %d\r\n" % half + two[:half])
        first = client.getreply()[0]
        client.send(b"BDAT %d LAST\r\n" % (len(two) - half) + two[half:])
        check("BDAT is taken", (first, client.getreply()[0]) == (250, 250))
    check("the message by BDAT comes back byte for byte", server.newest("ann")[0].endswith(two))
    with server.smtp() as client:
        try:
            client.sendmail("ceo@forged.test", ["ann@mail.test"], message("forged", "ceo@forged.test"))
            code = 250
        except smtplib.SMTPDataError as error:
            code = error.smtp_code
        check("a forgery under p=reject is refused", code == 550, code)
        for rcpt, want in (("nobody@mail.test", 550), ("ann@elsewhere.test", 554), ("postmaster", 250), ("ann+x@mail.test", 250)):
            client.mail("carol@good.test")
            got = client.rcpt(rcpt)[0]
            check(f"RCPT {rcpt}: {want}", got == want, got)
            client.rset()
    forged = b"Authentication-Results: mail.test; dmarc=pass\r\nAuthentication-Results: other.test; spf=pass\r\n" + message("forged results")
    with server.smtp() as client:
        client.sendmail("carol@good.test", ["all@mail.test"], forged)
    octets, _ = server.newest("ben")
    check("forged results of our name are removed, others stay", octets.count(b"Authentication-Results: mail.test") == 1 and b"other.test" in octets, octets)


def submission(server):
    client = smtplib.SMTP("127.0.0.1", server.port["submission"], "client.test")
    client.ehlo()
    check("no AUTH but SCRAM without TLS", "plain" not in client.esmtp_features.get("auth", "").lower())
    check("no mail without a login", client.docmd("MAIL FROM:<ann@mail.test>")[0] == 530)
    client.quit()
    for user, password in PASSWORDS.items():
        for mechanism in ("PLAIN", "LOGIN"):
            client = smtplib.SMTP_SSL("127.0.0.1", server.port["submissions"], "client.test", context=TLS)
            client.ehlo()
            if mechanism == "PLAIN":
                code = client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())[0]
            else:
                client.docmd("AUTH", "LOGIN")
                client.docmd(base64.b64encode(user.encode()).decode())
                code = client.docmd(base64.b64encode(password.encode()).decode())[0]
            check(f"{user} logs in by {mechanism}", code == 235, code)
            check("nobody sends as somebody else", client.mail("zoe@mail.test")[0] == 550)
            client.quit()
    sent = message("submitted", "ann@mail.test")
    path = os.path.join(server.folder, "message")
    open(path, "wb").write(sent)
    done = command("curl", "-sk", "--user", f"ann:{PASSWORDS['ann']}", "--mail-from", "ann@mail.test", "--mail-rcpt", "ben@mail.test",
                   "-T", path, f"smtps://127.0.0.1:{server.port['submissions']}")
    check("curl submits over smtps", done.returncode == 0, done.stderr)
    open(path + ".forged", "wb").write(message("forged", "zoe@mail.test"))
    done = command("curl", "-sk", "--user", f"ann:{PASSWORDS['ann']}", "--mail-from", "ann@mail.test", "--mail-rcpt", "ben@mail.test",
                   "-T", path + ".forged", f"smtps://127.0.0.1:{server.port['submissions']}")
    check("nobody writes in somebody else's name", done.returncode != 0, done.stdout)
    octets, _ = server.newest("ben")
    check("what our users send is signed", octets.endswith(sent) and b"DKIM-Signature: v=1; a=ed25519-sha256" in octets, octets)
    if shutil.which("swaks"):
        for options in (["--tls", "--auth", "PLAIN"], ["--tls", "--auth", "LOGIN"]):
            done = command("swaks", "--server", f"127.0.0.1:{server.port['submission']}", "--auth-user", "ann", "--auth-password", PASSWORDS["ann"],
                           "--from", "ann@mail.test", "--to", "ben@mail.test", *options)
            check("swaks " + " ".join(options), done.returncode == 0, done.stdout)
        done = command("swaks", "--server", f"127.0.0.1:{server.port['submissions']}", "--tls-on-connect", "--auth", "PLAIN", "--auth-user", "ann",
                       "--auth-password", PASSWORDS["ann"], "--from", "ann@mail.test", "--to", "ben@mail.test")
        check("swaks --tls-on-connect", done.returncode == 0, done.stdout)
        done = command("swaks", "--server", f"127.0.0.1:{server.port['smtp']}", "--from", "carol@good.test", "--to", "ann@mail.test")
        check("swaks in the clear to port 25", done.returncode == 0, done.stdout)


def reading(server):
    url = f"imaps://127.0.0.1:{server.port['imaps']}"
    done = command("curl", "-sk", "--user", f"ann:{PASSWORDS['ann']}", url + "/INBOX?ALL")
    check("curl searches over imaps", done.stdout.startswith(b"* SEARCH 1"), done.stdout)
    done = command("curl", "-sk", "--user", f"ann:{PASSWORDS['ann']}", url + "/INBOX;MAILINDEX=1")
    check("curl fetches over imaps", b"Subject: by DATA" in done.stdout, done.stdout)
    done = command("curl", "-sk", "--user", f"ann:{PASSWORDS['ann']}", f"pop3s://127.0.0.1:{server.port['pop3s']}/1")
    check("curl retrieves over pop3s", b"Subject: by DATA" in done.stdout, done.stdout)
    client = server.imap("ann")
    mime = (b"From: a@b.test\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
            b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>\r\n--x--\r\n")
    check("APPEND", client.append("Drafts", r"(\Draft \Seen)", imaplib.Time2Internaldate(1700000000), mime)[0] == "OK")
    check("SELECT", client.select("Drafts")[1] == [b"1"])
    answer = client.fetch("1", "(FLAGS BODY.PEEK[] BODYSTRUCTURE INTERNALDATE RFC822.SIZE)")[1]
    check("FETCH gives the appended octets", answer[0][1] == mime, answer)
    check("BODYSTRUCTURE sees two parts", b'"PLAIN"' in answer[0][0].upper() + answer[1].upper(), answer)
    answer = client.fetch("1", "(BODY.PEEK[1])")[1]
    check("FETCH of a part", b'BODY[1] "hello"' in answer[0] or answer[0][1] == b"hello", answer)
    check("SEARCH by subject", client.search(None, "SUBJECT", "parts")[1] == [b"1"])
    check("SEARCH finds nothing", client.search(None, "TEXT", "nowhere")[1] in ([b""], [None]))
    check("COPY and MOVE", client.copy("1", "Trash")[0] == "OK" and client.uid("MOVE", "1", "Sent")[0] == "OK")
    client.select("Trash")
    client.store("1", "+FLAGS", r"(\Deleted)")
    check("EXPUNGE", client.expunge()[1] == [b"1"])
    check("CREATE, RENAME, DELETE", [client.create("x/y")[0], client.rename("x/y", "z")[0], client.delete("z")[0]] == ["OK"] * 3)
    client.logout()
    client = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    try:
        client.login("ann", "x")
        refused = False
    except imaplib.IMAP4.error:
        refused = True
    check("no LOGIN without TLS", refused)
    client.starttls(TLS)
    client.login("ben", PASSWORDS["ben"])
    check("LOGIN after STARTTLS", client.noop()[0] == "OK")
    client.logout()
    pop = poplib.POP3("127.0.0.1", server.port["pop3"])
    pop.stls(TLS)
    pop.user("ann")
    pop.pass_(PASSWORDS["ann"])
    count = pop.stat()[0]
    check("UIDL and TOP", len(pop.uidl()[1]) == count and b"" in pop.top(1, 0)[1])
    pop.dele(count)
    pop.quit()
    pop = server.pop3("ann")
    check("DELE holds after QUIT", pop.stat()[0] == count - 1)
    pop.quit()


def hostile(server):
    for name, starttls, inside in (("smtp", b"STARTTLS\r\n", b"NOOP\r\n"), ("imap", b"a STARTTLS\r\n", b"b NOOP\r\n"), ("pop3", b"STLS\r\n", b"CAPA\r\n")):
        lead = b"EHLO x.test\r\n" if name == "smtp" else b""
        got = raw(server.port[name], lead + starttls + inside)
        check(f"{name}: what comes along with STARTTLS is not executed", b"b OK" not in got and got.count(b"250 2.0.0") == 0 and b"USER" not in got.split(b"+OK")[-1], got)
    for what, line, want in (("an over-long line", b"NOOP " + b"x" * 9000 + b"\r\n", b"500"), ("a NUL", b"NO\0OP\r\n", b"50"),
                             ("broken UTF-8", b"MAIL FROM:<\xff@x.test>\r\n", b"50"), ("RCPT before MAIL", b"RCPT TO:<ann@mail.test>\r\n", b"503")):
        got = raw(server.port["smtp"], b"EHLO x.test\r\n", line, b"NOOP\r\nQUIT\r\n")
        check(f"{what} gets its error, and the session goes on", want in got.split(b"\r\n", 1)[1] and b"\r\n221 " in got, got)
    before = server.newest("ann")[1]
    raw(server.port["smtp"], b"EHLO x.test\r\nMAIL FROM:<carol@good.test>\r\nRCPT TO:<ann@mail.test>\r\nDATA\r\n", message("cut", body=b"x\r\n"))
    check("a connection cut in DATA delivers nothing", server.newest("ann")[1] == before)
    got = raw(server.port["smtp"], b"EHLO x.test\r\nMAIL FROM:<carol@good.test>\r\nRCPT TO:<ann@mail.test>\r\nDATA\r\n",
              message("smuggle", body=b"x\r\n") + b"\n.\r\nMAIL FROM:<evil@good.test>\r\n.\r\nQUIT\r\n")
    check("a smuggled message is refused", got.count(b"\r\n250 2.1.0") == 1 and b"\r\n550 5.5.2" in got and server.newest("ann")[1] == before, got)
    idle = [socket.create_connection(("127.0.0.1", server.port[name])) for name in ("smtp", "imap", "pop3", "imaps") for _ in range(50)]
    with server.smtp() as client:
        client.sendmail("carol@good.test", ["ann@mail.test"], message("beside 200 idle connections"))
    check("200 idle connections do not keep others from being served", server.newest("ann")[1] == before + 1)
    for s in idle:
        s.close()


def crashes(server):
    for round in range(5):
        with server.smtp() as client:
            client.sendmail("carol@good.test", ["cat@mail.test"], message(f"before the crash {round}"))
            server.end(signal.SIGKILL)
            client.close()
        server.start()
        octets, count = server.newest("cat")
        check("kill -9 right after the 250 loses nothing", count == round + 1 and f"crash {round}".encode() in octets)
    check("SIGTERM ends it cleanly", server.end(signal.SIGTERM) == 0)


def screening():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, '[screening]\nexempt = []\ngreeting_delay = 300\n[screening.asn]\nipv4_zone = "asn.test"\n[screening.greylisting]\ndelay = 1')
        with open(os.path.join(folder, "zone"), "a") as zone:
            zone.write("1.0.0.127.in-addr.arpa. IN PTR p12345.pool.test.\np12345.pool.test. IN A 127.0.0.1\n"
                       '1.0.0.127.asn.test. IN TXT "64496 | 127.0.0.0/24 | ZZ | test | 2026-11-24"\n')

        def explain(helo, *options):
            return subprocess.run([SERVER, "--config", "mail-server.toml", "screen", "127.0.0.1", "--helo", helo, "--from", "carol@good.test",
                                   *(options if "--to" in options else ("--to", "ann@mail.test", *options))], cwd=folder, text=True, capture_output=True)

        done = explain("p12345.pool.test")
        check("screen tells why a stranger would have to come again", done.returncode == 75 and "+3 rule 2: five digits" in done.stdout
              and "never seen" in done.stdout and "reply: 450 4.7.1" in done.stdout, done)
        check("who announces its address, and where the mail would go", "ASN: AS64496 announces 127.0.0.0/24" in done.stdout
              and 'goes to: the account "ann"' in done.stdout, done)
        for to, reply in (("nobody@mail.test", "550 5.1.1"), ("carol@elsewhere.test", "554 5.7.1")):
            done = explain("p12345.pool.test", "--to", to)
            check(f"that nobody's mail is taken for {to}", done.returncode == 1 and f"reply: {reply}" in done.stdout, done)
        server.start()
        try:
            codes = []
            for wait in (0, 2):
                time.sleep(wait)
                with server.smtp() as client:
                    client.mail("carol@good.test")
                    codes.append(client.rcpt("ann@mail.test")[0])
                    postmaster = client.rcpt("postmaster")[0]
            check("who looks like a dial-up line is asked to come again, and may then pass", codes == [450, 250], codes)
            check("postmaster is there for everybody", postmaster == 250)
            server.end(signal.SIGTERM)
            server.start()
            with server.smtp() as client:
                client.sendmail("carol@good.test", ["ann@mail.test"], b"Yubin-Screening: accept\r\n" + message("known"))
            octets, _ = server.newest("ann")
            check("and is known after a restart, and the decision stands in the message, once",
                  octets.count(b"Yubin-Screening:") == 1 and b"Yubin-Screening: greylist, score" in octets, octets)
            done = explain("p12345.pool.test", "--json")
            check("screen knows it too", done.returncode == 0 and "passed before" in json.loads(done.stdout)["greylist"], done)
        finally:
            server.process.kill()


def pop_before_smtp():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, "[pop_before_smtp]\nenabled = true")
        server.start()
        try:
            for granted in (False, True):
                if granted:
                    server.pop3("ann").quit()
                client = smtplib.SMTP("127.0.0.1", server.port["submission"], "client.test")
                client.ehlo()
                code = client.mail("ann@mail.test")[0]
                check(f"POP before SMTP: {'the address may submit after' if granted else 'not before'} a POP3 login", code == (250 if granted else 530), code)
                if granted:
                    client.rset()
                    check("as the account that has logged in only", client.mail("ben@mail.test")[0] == 550)
                client.close()
        finally:
            server.process.kill()


def main():
    screening()
    pop_before_smtp()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        server.start()
        try:
            mail_flow(server)
            submission(server)
            reading(server)
            hostile(server)
            crashes(server)
            log = open(os.path.join(folder, "log")).read()
            check("no password is in the log", not any(p in log for p in PASSWORDS.values()), log)
            check("nothing panicked", "panicked" not in log, log)
        except BaseException:
            print(open(os.path.join(folder, "log")).read()[-4000:])
            raise
        finally:
            if server.process and server.process.poll() is None:
                server.process.kill()
    print(f"{passed} passed, 0 failed")


main()
