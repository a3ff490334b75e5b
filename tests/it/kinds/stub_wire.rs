//! The stub of the benchmarks speaks as drctl's adapter understands it: the services of which no test against LocalStack measures limits.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use drctl::adapters::aws::Aws;
use drctl::kinds::aws::ecs::{Presence, ScaleService, ServiceRef};
use drctl::kinds::shared::capacity::Size;
use drctl::kinds::shared::names::{ControlsRef, SetRoutingControls};
use drctl::kinds::shared::secret::{ClientSecret, UpdateClientSecret};
use drctl::kinds::{Operation, State, Target};
use drctl::model::ids::SiteName;
use drctl::model::place::{CloudProvider, Place};
use drctl::model::readiness::Need;
use drctl::model::time::Dur;
use drctl::plan::Settings;
use drctl::record::action::Action;
use drctl::run::outcome::CallOutcome;
use drctl::world::World;
use serde_json::Value;

/// Where the inner test finds the stub.
const STUB: &str = "DRCTL_TEST_STUB";
/// The calls that drctl makes here, by service.
const CALLS: &[(&str, &[&str])] = &[
    ("ecs", &["DescribeServices", "DescribeTaskDefinition", "UpdateService"]),
    ("ecr", &["DescribeImages"]),
    ("application-autoscaling", &["DescribeScalableTargets", "RegisterScalableTarget"]),
    ("iam", &["SimulatePrincipalPolicy"]),
    ("secretsmanager", &["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]),
    ("route53-recovery-cluster", &["GetRoutingControlState", "UpdateRoutingControlStates"]),
];

/// The SDK reads credentials and the address from the environment, which a process cannot change for itself: this test starts itself again.
#[test]
fn the_adapter_understands_the_stub() {
    if let Ok(url) = std::env::var(STUB) {
        talk(&World::live().unwrap(), &url);
        return;
    }
    let port = crate::support::ports::free();
    let flags = ["--port".to_owned(), port.to_string(), "--call-ms".to_owned(), "1".to_owned()];
    std::thread::spawn(move || crate::aws_stub::serve(flags.into_iter()));
    let started = (0..1_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(started, "the stub does not answer");
    let url = format!("http://127.0.0.1:{port}");
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["kinds::stub_wire::the_adapter_understands_the_stub", "--exact"])
        .env(STUB, &url)
        .env("AWS_ENDPOINT_URL", &url)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let stats = stats(port);
    assert_eq!(
        (&stats["total_throttled"], &stats["refused"]),
        (&Value::from(0), &serde_json::json!({})),
        "{stats}"
    );
    for (service, calls) in CALLS {
        for call in *calls {
            assert!(stats["calls"][*service][*call].as_u64() > Some(0), "{service} {call}: {stats}");
        }
    }
}

fn stats(port: u16) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /_stub/stats HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn place(region: &str) -> Place {
    Place {
        name: region.to_owned(),
        cloud: CloudProvider::Aws,
        region: region.to_owned(),
        account: None,
        role: None,
        external_id: None,
    }
}

/// The adapter and its world.
struct Talk<'w> {
    world: &'w World,
    aws: Aws,
}

impl Talk<'_> {
    fn look(&self, target: Target) -> State {
        let seen = self.world.block_on(self.aws.observe(&[target]));
        seen[0].state().cloned().unwrap_or_else(|| panic!("{seen:?}"))
    }

    fn act(&self, op: Operation) {
        let done = self.world.block_on(self.aws.perform(&Action::Op(op)));
        assert!(matches!(done, CallOutcome::Accepted { .. }), "{done:?}");
    }
}

fn talk(world: &World, url: &str) {
    let talk = Talk { world, aws: Aws::new(world.clone(), &Settings::default(), None) };
    talk.scales_a_service();
    talk.points_clients();
    talk.routes(url);
    let needs =
        vec![Need { resource: "*".to_owned(), actions: BTreeSet::from(["ecs:UpdateService".to_owned()]) }];
    let State::Granted(granted) = talk.look(Target::Granted { place: place("us-east-1"), needs }) else {
        panic!()
    };
    assert_eq!((granted.asked, granted.denied.len()), (1, 0), "{granted:?}");
}

impl Talk<'_> {
    fn scales_a_service(&self) {
        let service = ServiceRef {
            component: "web".into(),
            place: place("us-east-1"),
            cluster: "shop-dr".to_owned(),
            service: "web-00001".to_owned(),
        };
        let look = || match self.look(Target::Service(service.clone())) {
            State::Service(state) => state,
            other => panic!("{other:?}"),
        };
        let before = look();
        assert_eq!(before.capacity.size, Size { min: 0, desired: 0, max: 8 });
        assert!(before.scalable_target && before.steady);
        self.act(Operation::ScaleService(ScaleService {
            service: service.clone(),
            from: before.capacity.size,
            to: Size { min: 2, desired: 2, max: 8 },
            proceed_at: 2,
            scalable_target: true,
        }));
        let scaled = look();
        assert_eq!((scaled.capacity.size.desired, scaled.capacity.in_service, scaled.steady), (2, 0, false));
        let until = self.world.now() + Dur::secs(30);
        let steady = loop {
            let now = look();
            if now.steady || self.world.now() > until {
                break now;
            }
            self.world.block_on(self.world.sleep_until(self.world.now() + Dur(200)));
        };
        assert_eq!((steady.capacity.in_service, steady.steady), (2, true));
        let State::Task(task) = self.look(Target::Task(service)) else { panic!() };
        assert!(task.containers.values().all(|image| image.presence == Presence::Present), "{task:?}");
    }

    fn points_clients(&self) {
        let secret = ClientSecret {
            component: "app".into(),
            place: place("us-east-1"),
            id: "app-00001".to_owned(),
            host: "host".to_owned(),
            port: Some("port".to_owned()),
        };
        let look = || match self.look(Target::Secret(secret.clone())) {
            State::Secret(state) => state.fields,
            other => panic!("{other:?}"),
        };
        let from = look();
        assert!(from["host"].starts_with("db-00001.") && from["host"].contains("us-west-2"), "{from:?}");
        let to = BTreeMap::from([
            ("host".to_owned(), "east.example".to_owned()),
            ("port".to_owned(), "5432".to_owned()),
        ]);
        self.act(Operation::UpdateClientSecret(UpdateClientSecret {
            secret: secret.clone(),
            to: to.clone(),
            from,
        }));
        assert_eq!(look(), to);
    }

    fn routes(&self, url: &str) {
        let [west, east] = ["west", "east"].map(SiteName::new);
        let arn = |site: &SiteName| {
            (
                site.clone(),
                format!("arn:aws:route53-recovery-control::1:controlpanel/p/routingcontrol/{site}"),
            )
        };
        let controls = ControlsRef {
            component: "www".into(),
            place: place("global"),
            endpoints: BTreeMap::from([("us-east-1".to_owned(), url.to_owned())]),
            controls: BTreeMap::from([arn(&west), arn(&east)]),
        };
        let leads = || match self.look(Target::Controls(controls.clone())) {
            State::Controls(state) => state.leads_to().cloned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(leads(), Some(west.clone()));
        self.act(Operation::SetRoutingControls(SetRoutingControls {
            controls: controls.clone(),
            to: east.clone(),
            from: BTreeMap::from([(west.clone(), true), (east.clone(), false)]),
            back: Some(west),
        }));
        assert_eq!(leads(), Some(east));
    }
}
