//! A plan for drctl with the contents of the estate.

use std::fmt::Write as _;

/// Zone i needs database i, its clients, group i and service i; the rest are independent.
pub fn plan([zones, records, databases, groups]: [usize; 4]) -> String {
    let mut text = "plan: bench\nobjectives: {rto: 60m, rpo: 30m}\nsites:\n  us-west-2: {account: \"111111111111\"}\n  \
                    us-east-1: {account: \"111111111111\"}\nconnections:\n  dns: {account: \"111111111111\", region: global}\n\
                    home: us-west-2\ncomponents:\n"
        .to_owned();
    for n in 1..=databases {
        let _ = writeln!(
            text,
            "  db-{n:05}:\n    kind: aws.rds\n    fence: [security_group]\n    at:\n      us-west-2: {{id: db-{n:05}, fence_group: sg-0fff}}\n      us-east-1: {{id: db-{n:05}-replica, fence_group: sg-0eee}}"
        );
    }
    for n in 1..=groups {
        let _ = writeln!(
            text,
            "  nodes-{n:05}:\n    kind: aws.autoscaling\n    at:\n      us-west-2: {{group: nodes-{n:05}}}\n      us-east-1: {{group: nodes-{n:05}-dr, capacity_floor: 2}}"
        );
    }
    for n in 1..=zones {
        let _ = writeln!(
            text,
            "  web-{n:05}:\n    kind: aws.ecs\n    at:\n      us-west-2: {{cluster: shop, service: web-{n:05}}}\n      us-east-1: {{cluster: shop-dr, service: web-{n:05}, capacity_floor: 2}}"
        );
        let _ = writeln!(
            text,
            "  app-{n:05}:\n    kind: clients\n    of: db-{n:05}\n    at:\n      us-west-2: {{secret: app-{n:05}}}\n      us-east-1: {{secret: app-{n:05}}}"
        );
        let _ = writeln!(
            text,
            "  zone-{n:05}:\n    kind: aws.route53\n    via: dns\n    needs: [db-{n:05}, app-{n:05}, nodes-{n:05}, web-{n:05}]\n    zone: Z{n:05}\n    records:"
        );
        let mut left = records / zones;
        for round in 1.. {
            if left == 0 {
                break;
            }
            let last = 1 + round % 254;
            let _ = writeln!(
                text,
                "      - {{name: www-{round:05}.z{n:05}.example, type: A, ttl: 60s, at: {{us-west-2: [192.0.2.{last}], us-east-1: [198.51.100.{last}]}}}}"
            );
            left -= 1;
            if left >= 2 {
                let _ = writeln!(
                    text,
                    "      - {{name: api-{round:05}.z{n:05}.example, type: A, policy: weighted, ttl: 30s, at: {{us-west-2: {{set: west, values: [192.0.2.{last}], weight: 100}}, us-east-1: {{set: east, values: [198.51.100.{last}], weight: 0}}}}}}"
                );
                left -= 2;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use drctl::model::finding::Severity;
    use drctl::plan::Settings;

    /// The benchmark would otherwise be the first to say so.
    #[test]
    fn the_plan_holds() {
        let text = super::plan([2, 100, 10, 10]);
        let checked = drctl::plan::check("bench.yaml", text.as_bytes(), &Settings::default());
        let errors: Vec<_> = checked.findings.iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(checked.plan.is_some() && errors.is_empty(), "{errors:#?}");
    }
}
