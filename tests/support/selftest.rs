//! Proves each fault against a small upstream. What goes over the wire is written and read here without `http.rs`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{
    BlackHole, Bucket, Call, Fate, Fault, Held, HoldPoint, Proxy, Rule, RuleId, mutates, seeded_fault,
};

const PLENTY: Duration = Duration::from_secs(5);
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloworld";

/// Answers every request with the same bytes, and closes after it if they say so or have no length.
struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = Arc::clone(&upstream.seen);
        // It ends with the test binary.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (mut client, seen) = (client.unwrap(), Arc::clone(&seen));
                thread::spawn(move || {
                    while let Some(request) = read_message(&mut client, Body::Sent) {
                        seen.lock().unwrap().push(request);
                        client.write_all(answer.as_bytes()).unwrap();
                        if answer.starts_with("HTTP/1.0") || answer.contains("x-closes: silently") {
                            return;
                        }
                    }
                });
            }
        });
        upstream
    }

    fn proxy(&self) -> Proxy {
        Proxy::start(self.address)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Body {
    Sent,
    Omitted,
}

/// Reads one message as text. None: the connection was closed before its end.
fn read_message(stream: &mut TcpStream, body: Body) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    loop {
        let seen = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, rest)) = seen.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length: Option<usize> =
                head.split_once("content-length: ").map(|(_, l)| l.lines().next().unwrap().parse().unwrap());
            let whole = match length {
                _ if body == Body::Omitted => true,
                _ if head.contains("transfer-encoding: chunked") => {
                    rest.contains("0\r\n") && rest.ends_with("\r\n\r\n")
                }
                Some(length) => text.len() - seen.find("\r\n\r\n").unwrap() - 4 == length,
                None => true,
            };
            if whole {
                return Some(seen);
            }
        }
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.url().strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PLENTY)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn send(&mut self, request: &str) -> &mut Self {
        self.0.write_all(request.as_bytes()).unwrap();
        self
    }

    fn ask(&mut self, request: &str) -> String {
        self.send(request);
        read_message(&mut self.0, Body::Sent).expect("an answer")
    }

    /// Everything until the connection is closed.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    fn is_held(&mut self, proxy: &Proxy) -> Held {
        self.send(&promote());
        proxy.wait_held(PLENTY).expect("a held call")
    }

    /// Whether nothing has come and the connection is open.
    fn is_kept_waiting(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let read = self.0.read(&mut [0]);
        self.0.set_read_timeout(Some(PLENTY)).unwrap();
        read.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

/// A signed request with headers that end in CRLF.
fn signed(scope: &str, start: &str, headers: &str, body: &str) -> String {
    format!(
        "{start} HTTP/1.1\r\nhost: 127.0.0.1:4566\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=000000000001/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=00\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn query(scope: &str, form: &str) -> String {
    signed(scope, "POST /", "content-type: application/x-www-form-urlencoded\r\n", form)
}

fn promote() -> String {
    query("us-west-2/rds", "Action=PromoteReadReplica&Version=2014-10-31&DBInstanceIdentifier=orders%2Ddb")
}

fn describe() -> String {
    query("us-west-2/rds", "Action=DescribeDBInstances&Version=2014-10-31")
}

/// A proxy with one rule for all calls, in front of an upstream that says hello.
fn with(fault: Fault) -> (Upstream, Proxy, RuleId, Client) {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    let rule = proxy.rule(Rule::new(fault));
    let client = Client::of(&proxy);
    (upstream, proxy, rule, client)
}

fn only(proxy: &Proxy) -> Call {
    let calls = proxy.calls();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    calls.into_iter().next().unwrap()
}

#[test]
fn forwards_bytes_as_they_came_over_connections_that_live() {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    let odd = query("us-west-2/rds", "Action=ModifyDBInstance").replace("host:", "X-Odd:  a:b \r\nHOST:");
    assert_eq!(client.ask(&promote()), HELLO);
    assert_eq!(client.ask(&odd), HELLO);
    assert_eq!(upstream.seen(), [promote(), odd]);
    let calls = proxy.calls();
    let first = &calls[0];
    assert_eq!((first.seq, calls[1].seq), (0, 1));
    assert!(first.at <= calls[1].at && first.forwarded && first.mutates);
    assert_eq!((first.service.as_str(), first.region.as_str()), ("rds", "us-west-2"));
    assert_eq!((first.account.as_str(), first.operation.as_str()), ("000000000001", "PromoteReadReplica"));
    assert_eq!((first.target.as_str(), first.status, first.fate), ("orders-db", Some(200), Fate::Passed));
    assert_eq!(proxy.count(|c| c.mutates), 2);
    assert_eq!(proxy.take_calls(), calls);
    assert_eq!(proxy.count(|_| true), 0);
    client.ask(&promote());
    assert_eq!(only(&proxy).seq, 2);
    client.send(&promote().replace("content-type", "connection: close\r\ncontent-type"));
    assert_eq!(client.rest(), HELLO);
}

#[test]
fn an_upstream_may_close_after_each_answer() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nx-closes: silently\r\nContent-Length: 2\r\n\r\nok";
    let upstream = Upstream::start(ANSWER);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    assert_eq!([client.ask(&promote()), client.ask(&promote())], [ANSWER, ANSWER]);
    let old = Upstream::start("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    let proxy = old.proxy();
    assert_eq!(Client::of(&proxy).send(&promote()).rest(), "HTTP/1.0 200 OK\r\n\r\nuntil the end");
}

#[test]
fn reads_what_requests_say() {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    let zone = "/2013-04-01/hostedzone/Z1/rrset";
    let (r53, s3) = ("us-east-1/route53", "us-east-1/s3");
    let target = "x-amz-target: secretsmanager.GetSecretValue\r\n";
    let cbor = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    let form = "Action=UpdateAutoScalingGroup&AutoScalingGroupName=web+tier";
    let mut saw = |request: &str| {
        client.ask(request);
        let call = proxy.take_calls().remove(0);
        let mark = if call.mutates { "!" } else { "" };
        format!("{} {} {}{mark} {}", call.service, call.region, call.operation, call.target)
    };
    let rest = |scope: &str, start: &str| signed(scope, start, "", "");
    assert_eq!(
        saw(&query("eu-west-1/autoscaling", form)),
        "autoscaling eu-west-1 UpdateAutoScalingGroup! web tier"
    );
    assert_eq!(saw(&query("us-east-1/sts", "Action=AssumeRole")), "sts us-east-1 AssumeRole ");
    let secret = signed("us-west-2/secretsmanager", "POST /", target, r#"{"SecretId": "db/pw"}"#);
    assert_eq!(saw(&secret), "secretsmanager us-west-2 GetSecretValue db/pw");
    assert_eq!(
        saw(&rest("us-west-2/monitoring", &format!("POST {cbor}"))),
        "cloudwatch us-west-2 PutMetricData! "
    );
    assert_eq!(saw(&rest(r53, &format!("POST {zone}/"))), "route53 us-east-1 ChangeResourceRecordSets! Z1");
    assert_eq!(saw(&rest(r53, &format!("GET {zone}?name=a"))), "route53 us-east-1 ListResourceRecordSets Z1");
    assert_eq!(saw(&rest(r53, "GET /2013-04-01/change/C1")), "route53 us-east-1 GetChange C1");
    assert_eq!(
        saw(&rest(r53, "POST /2013-04-01/healthcheck")),
        "route53 us-east-1 POST /2013-04-01/healthcheck! "
    );
    assert_eq!(saw(&rest(s3, "PUT /b/k/l%20m?x-id=PutObject")), "s3 us-east-1 PutObject! b/k/l m");
    assert_eq!(saw(&rest(s3, "GET /b/k")), "s3 us-east-1 GetObject b/k");
    assert_eq!(saw(&rest(s3, "DELETE /b/k")), "s3 us-east-1 DeleteObject! b/k");
    assert_eq!(saw(&rest(s3, "GET /b/?list-type=2")), "s3 us-east-1 ListObjects b");
    assert_eq!(saw(&rest(s3, "PUT /b?versioning")), "s3 us-east-1 PUT /b?versioning! b");
    assert_eq!(saw("GET /_localstack/health HTTP/1.1\r\nhost: x\r\n\r\n"), "  GET /_localstack/health ");
    assert!(mutates("rds", "DeleteDBInstance") && !mutates("rds", "DescribeDBInstances"));
}

#[test]
fn bodies_of_every_kind_pass() {
    const CHUNKS: &str = "5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let upstream = Upstream::start(ANSWER);
    let proxy = upstream.proxy();
    let mut client = Client::of(&proxy);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let chunked = format!(
        "POST / HTTP/1.1\r\n{form}transfer-encoding: chunked\r\n\r\n6\r\nAction\r\n8\r\n=Promote\r\n0\r\n\r\n"
    );
    assert_eq!(client.ask(&chunked), ANSWER);
    let trailers = format!("PUT /b/k HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}");
    assert_eq!(client.ask(&trailers), ANSWER);
    let aws = signed("us-east-1/s3", "PUT /b/k", "transfer-encoding: aws-chunked\r\n", CHUNKS);
    assert_eq!(client.ask(&aws), ANSWER);
    let (head, body) = ("PUT /b/k HTTP/1.1\r\nExpect: 100-continue\r\ncontent-length: 4\r\n\r\n", "body");
    assert_eq!(client.ask(head), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.ask(body), ANSWER);
    assert_eq!(upstream.seen(), [chunked, trailers, aws, format!("{head}{body}")]);
    assert_eq!(proxy.calls()[0].operation, "Promote");
}

#[test]
fn answers_without_body_pass() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("DELETE", "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
        ("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let upstream = Upstream::start(answer);
        let proxy = upstream.proxy();
        let mut client = Client::of(&proxy);
        for _ in 0..2 {
            client.send(&signed("us-east-1/s3", &format!("{method} /b/k"), "", ""));
            let answered = read_message(&mut client.0, Body::Omitted).unwrap();
            assert!(answer.ends_with(&answered), "{answered}");
        }
        assert_eq!(proxy.count(|c| c.fate == Fate::Passed), 2);
    }
}

#[test]
fn errors_are_in_the_words_of_the_service() {
    let (upstream, proxy, rule, mut client) = with(Fault::Throttle);
    let s3 = signed("us-east-1/s3", "GET /b/k", "", "");
    let json = signed("us-east-1/secretsmanager", "POST /", "x-amz-target: secretsmanager.Get\r\n", "{}");
    let path = "POST /service/G/operation/PutMetricData";
    let cbor = signed("us-east-1/monitoring", path, "smithy-protocol: rpc-v2-cbor\r\n", "");
    let ec2 = query("us-east-1/ec2", "Action=DescribeRegions");
    let mut check = |request: &str, status: &str, word: &str| {
        let answer = client.ask(request);
        assert!(answer.starts_with(status) && answer.contains(word), "{answer}");
    };
    let sender =
        "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message>";
    check(&promote(), "HTTP/1.1 400", sender);
    check(&s3, "HTTP/1.1 503", "<Error><Code>SlowDown</Code>");
    check(&json, "HTTP/1.1 400", r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#);
    check(&cbor, "HTTP/1.1 400", "x\x06__typex\x13ThrottlingExceptionx\x07messagex\rRate exceeded");
    check(&cbor, "HTTP/1.1 400", "x-amzn-query-error: Throttling;Sender");
    check(&ec2, "HTTP/1.1 503", "<Response><Errors><Error><Code>RequestLimitExceeded<");
    proxy.remove(rule);
    proxy.rule(Rule::new(Fault::Unavailable));
    check(&promote(), "HTTP/1.1 503", "<Type>Receiver</Type><Code>ServiceUnavailable</Code>");
    check(&s3, "HTTP/1.1 503", "<Error><Code>ServiceUnavailable</Code>");
    check(&json, "HTTP/1.1 503", "ServiceUnavailableException");
    proxy.clear();
    proxy.rule(Rule::new(Fault::Garbage));
    check(&promote(), "HTTP/1.1 200", "not an answer");
    client.send(&s3.replace("GET", "HEAD"));
    assert!(read_message(&mut client.0, Body::Omitted).unwrap().contains("content-length: "));
    assert!(client.is_kept_waiting(), "the answer to a HEAD has no body");
    let fates: Vec<_> = proxy.calls().iter().map(|c| c.fate).collect();
    assert_eq!(fates[..6], [Fate::Throttled; 6]);
    assert_eq!(fates[6..9], [Fate::Unavailable; 3]);
    assert_eq!(fates[9..], [Fate::Garbage; 2]);
    assert_eq!((upstream.seen().len(), proxy.count(|c| c.forwarded || c.status.is_none())), (0, 0));
}

#[test]
fn a_delay_only_delays() {
    let (_upstream, proxy, _, mut client) = with(Fault::Delay(Duration::from_millis(60)));
    let began = Instant::now();
    assert_eq!(client.ask(&describe()), HELLO);
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!((only(&proxy).fate, only(&proxy).mutates), (Fate::Delayed, false));
}

#[test]
fn a_cut_body_promises_more_than_it_has() {
    let (_upstream, proxy, _, mut client) = with(Fault::CutBody);
    assert_eq!(client.send(&promote()).rest(), HELLO.strip_suffix("world").unwrap());
    assert_eq!((only(&proxy).fate, only(&proxy).status), (Fate::Cut, Some(200)));
    for (answer, cut) in [
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nhelloworld", "HTTP/1.0 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nco"),
    ] {
        let upstream = Upstream::start(answer);
        let proxy = upstream.proxy();
        proxy.rule(Rule::new(Fault::CutBody));
        assert_eq!(Client::of(&proxy).send(&promote()).rest(), cut);
    }
}

#[test]
fn a_refused_call_is_not_applied_and_one_with_a_lost_answer_is() {
    let (upstream, proxy, rule, mut client) = with(Fault::Refuse);
    assert_eq!(client.send(&promote()).rest(), "");
    assert_eq!((upstream.seen().len(), only(&proxy).fate, only(&proxy).forwarded), (0, Fate::Refused, false));
    proxy.remove(rule);
    proxy.rule(Rule::new(Fault::LoseAnswer));
    assert_eq!(Client::of(&proxy).send(&promote()).rest(), "");
    let lost = &proxy.calls()[1];
    assert_eq!((upstream.seen().len(), lost.fate, lost.status), (1, Fate::AnswerLost, Some(200)));
}

#[test]
fn calls_hang_until_the_client_or_the_proxy_ends_them() {
    let (upstream, proxy, _, mut client) = with(Fault::Hang);
    client.send(&promote());
    proxy.wait_call(PLENTY, |c| c.fate == Fate::Hung).unwrap();
    assert!(client.is_kept_waiting());
    assert_eq!((upstream.seen().len(), only(&proxy).status), (0, None));
    proxy.clear();
    proxy.rule(Rule::new(Fault::HangAfter));
    let mut other = Client::of(&proxy);
    other.send(&promote());
    proxy.wait_call(PLENTY, |c| c.fate == Fate::HungAfter && c.status == Some(200)).unwrap();
    assert!(other.is_kept_waiting());
    assert_eq!(upstream.seen().len(), 1);
    drop(client);
    let url = proxy.url();
    let began = Instant::now();
    drop(proxy);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(other.rest(), "");
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn a_late_call_is_applied_though_its_client_has_gone() {
    let (upstream, proxy, _, mut client) = with(Fault::ApplyLate(Duration::from_millis(250)));
    client.send(&promote());
    proxy.wait_call(PLENTY, |c| c.fate == Fate::AppliedLate && !c.forwarded).unwrap();
    drop(client);
    assert_eq!(upstream.seen().len(), 0);
    proxy.wait_call(PLENTY, |c| c.forwarded && c.status == Some(200)).unwrap();
    assert_eq!(upstream.seen(), [promote()]);
    assert!(proxy.wait_call(Duration::from_millis(1), |c| c.fate == Fate::Passed).is_none());
}

#[test]
fn a_held_call_waits_for_the_tests_word() {
    let (upstream, proxy, rule, mut client) = with(Fault::Hold(HoldPoint::BeforeForward));
    assert!(proxy.held().is_none());
    let call = client.is_held(&proxy);
    assert_eq!((call.call().operation.as_str(), upstream.seen().len()), ("PromoteReadReplica", 0));
    assert!(client.is_kept_waiting());
    call.release();
    assert_eq!(read_message(&mut client.0, Body::Sent).unwrap(), HELLO);
    client.is_held(&proxy).drop_connection();
    assert_eq!((client.rest().as_str(), upstream.seen().len()), ("", 1));
    proxy.wait_call(PLENTY, |c| c.fate == Fate::Dropped && !c.forwarded).unwrap();

    proxy.remove(rule);
    proxy.rule(Rule::new(Fault::Hold(HoldPoint::AfterForward)));
    let mut client = Client::of(&proxy);
    let call = client.is_held(&proxy);
    assert_eq!((call.call().status, upstream.seen().len()), (Some(200), 2));
    assert!(client.is_kept_waiting());
    call.release();
    assert_eq!(read_message(&mut client.0, Body::Sent).unwrap(), HELLO);
    client.is_held(&proxy).drop_connection();
    assert_eq!(client.rest(), "");

    let mut last = Client::of(&proxy);
    let call = last.is_held(&proxy);
    drop(proxy);
    assert_eq!(last.rest(), "");
    call.release();
}

#[test]
fn a_held_call_may_outlive_its_client() {
    let (upstream, proxy, _, mut client) = with(Fault::Hold(HoldPoint::BeforeForward));
    let call = client.is_held(&proxy);
    drop(client);
    call.release();
    proxy.wait_call(PLENTY, |c| c.status == Some(200)).unwrap();
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn regions_fail_alone() {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    let hole = proxy.black_hole("us-west-2");
    proxy.refuse_region("eu-west-1");
    assert!(Client::of(&proxy).send(&promote()).is_kept_waiting());
    assert_eq!(Client::of(&proxy).send(&query("eu-west-1/rds", "Action=DescribeDBInstances")).rest(), "");
    assert_eq!(Client::of(&proxy).ask(&query("us-east-1/rds", "Action=DescribeDBInstances")), HELLO);
    proxy.remove(hole);
    assert_eq!(Client::of(&proxy).ask(&promote()), HELLO);
}

#[test]
fn rules_are_taken_in_order_while_they_last() {
    let (_upstream, proxy, all, mut client) = with(Fault::Unavailable);
    proxy.remove(all);
    proxy.rule(Rule::new(Fault::Throttle).service("rds").region("us-west-2").mutating().skip(1).times(2));
    let named = proxy.rule(Rule::new(Fault::Unavailable).operation("PromoteReadReplica"));
    proxy.rule(Rule::new(Fault::Garbage).service("monitoring"));
    let mut status = |request: &str| client.ask(request)[9..12].to_owned();
    let mut statuses: Vec<_> = (0..4).map(|_| status(&promote())).collect();
    statuses.push(status(&describe()));
    proxy.remove(named);
    statuses.push(status(&promote()));
    assert_eq!(statuses, ["503", "400", "400", "503", "200", "200"]);
    status(&query("us-west-2/monitoring", "Action=DescribeAlarms"));
    assert_eq!(proxy.calls().last().unwrap().fate, Fate::Garbage);
}

#[test]
fn buckets_run_dry_and_fill_again() {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    let status = |request: &str| Client::of(&proxy).ask(request)[9..12].to_owned();
    proxy.limit("rds", Bucket { size: 2, refill_per_second: 0.0 });
    proxy.limit("route53", Bucket { size: 1, refill_per_second: 0.0 });
    assert_eq!([status(&describe()), status(&describe()), status(&promote())], ["200", "200", "400"]);
    assert_eq!(status(&describe().replace("us-west-2", "us-east-1")), "200");
    assert_eq!(status(&describe().replace("000000000001", "000000000002")), "200");
    let change = signed("us-east-1/route53", "GET /2013-04-01/change/C1", "", "");
    assert_eq!([status(&change), status(&change.replace("us-east-1", "aws-global"))], ["200", "400"]);
    assert_eq!((proxy.count(|c| c.fate == Fate::Limited && !c.forwarded), upstream.seen().len()), (2, 5));
    proxy.limit("rds", Bucket { size: 1, refill_per_second: 50.0 });
    assert_eq!(status(&describe()), "200");
    thread::sleep(Duration::from_millis(30));
    assert_eq!(status(&describe()), "200");
    proxy.limit("rds", Bucket { size: 0, refill_per_second: 0.0 });
    proxy.rule(Rule::new(Fault::LoseAnswer));
    assert_eq!(Client::of(&proxy).send(&describe()).rest(), "");
    let last = proxy.calls().pop().unwrap();
    assert_eq!((last.fate, last.status, last.forwarded), (Fate::AnswerLost, Some(400), false));
    proxy.clear();
    assert_eq!(status(&describe()), "400");
    proxy.clear_limits();
    assert_eq!(status(&describe()), "200");
}

#[test]
fn fates_follow_from_the_seed() {
    let fates = |seed, per_mille| {
        let (_upstream, proxy, _, _) = with(Fault::Seeded { seed, per_mille });
        for i in 0..24 {
            let request = if i % 2 == 0 { promote() } else { describe() };
            // Cut, lost and refused answers end the connection.
            Client::of(&proxy)
                .send(&request.replace("content-type", "connection: close\r\ncontent-type"))
                .rest();
        }
        proxy.calls().into_iter().map(|c| (c.operation, c.fate)).collect::<Vec<_>>()
    };
    // Seeds of which few calls are delayed.
    let first = fates(133, 500);
    assert_eq!(first, fates(133, 500));
    assert_ne!(first, fates(341, 500));
    assert!(fates(133, 0).iter().all(|(_, fate)| *fate == Fate::Passed));

    let call = ["rds", "us-west-2", "PromoteReadReplica"];
    let many: Vec<_> = (0..7000).map(|n| seeded_fault(7, 500, call, n)).collect();
    let count = |wanted: fn(&Fault) -> bool| many.iter().flatten().filter(|f| wanted(f)).count();
    assert!((3300..3700).contains(&count(|_| true)), "{}", count(|_| true));
    let delay = |f: &Fault| matches!(f, Fault::Delay(d) if (1..=300).contains(&d.as_millis()));
    for one in [
        delay,
        |f: &Fault| *f == Fault::Throttle,
        |f: &Fault| *f == Fault::Unavailable,
        |f: &Fault| *f == Fault::Garbage,
        |f: &Fault| *f == Fault::CutBody,
        |f: &Fault| *f == Fault::Refuse,
        |f: &Fault| *f == Fault::LoseAnswer,
    ] {
        assert!((400..600).contains(&count(one)), "{}", count(one));
    }
    assert!((0..100).all(|n| seeded_fault(7, 1000, call, n).is_some()));
    assert_ne!(seeded_fault(7, 1000, ["a", "bc", ""], 3), seeded_fault(7, 1000, ["ab", "c", ""], 3));
}

#[test]
fn an_upstream_that_is_not_there_closes_the_connection() {
    // A port that was free a moment ago may be another test's by now; nobody serves port 1.
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], 1)));
    assert_eq!(Client::of(&proxy).send(&promote()).rest(), "");
    assert_eq!((only(&proxy).fate, only(&proxy).forwarded), (Fate::NoUpstream, false));
}

#[test]
fn a_black_hole_takes_no_connection() {
    let hole = BlackHole::start();
    assert_eq!(hole.url(), format!("http://{}", hole.address()));
    let connected = TcpStream::connect_timeout(&hole.address(), Duration::from_millis(50));
    assert_eq!(connected.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn many_clients_at_once() {
    let upstream = Upstream::start(HELLO);
    let proxy = upstream.proxy();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::of(&proxy);
                (0..20).for_each(|_| assert_eq!(client.ask(&promote()), HELLO));
            });
        }
    });
    let seqs: Vec<_> = proxy.calls().iter().map(|c| c.seq).collect();
    assert_eq!(seqs, (0..160).collect::<Vec<_>>());
}
