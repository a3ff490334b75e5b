//! What is true of an RDS instance because the service runs it.

use crate::kinds::aws::rds::ops::Rename;
use crate::kinds::aws::rds::published::{CAS, SERVING};
use crate::kinds::operation::Operation;
use crate::kinds::shared::database::certificates::OwnCas;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::instance::InstanceSettings;
use crate::kinds::shared::database::operator::{
    CopyOf, Lacks, Operator, ReplicaOf, SourceBy, StandbyBy, Successor, Unmet,
};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::rejoin::NewReplica;
use crate::kinds::shared::restore::copy::Source;
use crate::model::waiver::Rule;

/// The API, and the region of its endpoint.
pub(crate) const API: (&str, &str) =
    ("rds", "drctl calls the RDS API of each site in the region of that site");

/// Amazon RDS.
#[derive(Clone, Copy, Debug)]
pub struct RdsOperator;

impl Operator for RdsOperator {
    fn standby_by(&self) -> StandbyBy {
        StandbyBy::Replica
    }

    fn hands_over(&self) -> bool {
        false
    }

    fn source_by(&self) -> SourceBy {
        SourceBy::Name
    }

    fn api(&self) -> Option<(&'static str, &'static str)> {
        Some(API)
    }

    fn serves(&self, status: &str) -> bool {
        SERVING.contains(&status)
    }

    fn own_cas(&self) -> Option<&'static OwnCas> {
        Some(&CAS)
    }

    fn promoted_when(&self) -> &'static str {
        "ReadReplicaSourceDBInstanceIdentifier is gone AND the status is available; available alone proves nothing"
    }

    fn withdrawal(&self, _: &str) -> Option<String> {
        None
    }

    fn set_aside(&self, db: &DatabaseRef, to: &str) -> Option<Operation> {
        Some(Operation::Rename(Rename { db: db.clone(), to: to.to_owned() }))
    }

    fn add_instance(&self, _: &DatabaseRef, _: NewMember) -> Option<Operation> {
        None
    }

    fn replica(&self, of: &ReplicaOf<'_>) -> Result<Option<(NewReplica, Option<String>)>, Unmet> {
        let ReplicaOf { db, like, source, .. } = of;
        let Some(of_source) = of.source_like else {
            let facts = format!("{} was not observed, so its ARN is unknown", source.id);
            let what = "get credentials for its region, then try again";
            return Err(Unmet::new(Rule::NotRecoverable, facts, what));
        };
        // In these partitions the request needs a second one, signed for the source's region (Amazon RDS API Reference, `PreSignedUrl`).
        if db.place.region != source.place.region && !of_source.arn.starts_with("arn:aws:") {
            let facts = format!(
                "the AWS partition of {} creates cross-region replicas with a different request",
                source.id
            );
            let what = "create the replica by hand (in GovCloud and in China)";
            return Err(Unmet::new(Rule::NotImplemented, facts, what));
        }
        // A server that this run promotes gets its backups from the promotion.
        if of_source.backup_days == 0 && !of.promoted {
            let facts =
                format!("{} has no automated backups, so RDS cannot create a replica of it", source.id);
            let what = format!(
                "turn on automated backups: aws rds modify-db-instance --region {} --db-instance-identifier {} --backup-retention-period 7 --apply-immediately",
                source.place.region, source.id
            );
            return Err(Unmet::new(Rule::NotRecoverable, facts, what));
        }
        let own = like.parameter_group.as_ref().filter(|p| like.is_postgres() && !p.starts_with("default."));
        let note = own.map(|parameters| {
            format!(
                "{}: RDS creates a PostgreSQL replica with the default parameter group of its region. Once the replica exists, run: aws rds modify-db-instance --region {} --db-instance-identifier {} --db-parameter-group-name {parameters}. Then reboot it",
                db.id, db.place.region, db.id
            )
        });
        let replica = NewReplica {
            source_arn: of_source.arn.clone(),
            like: (*like).clone(),
            security_groups: of.groups.clone(),
        };
        Ok(Some((replica, note)))
    }

    fn can_take_over(&self, _: &Successor<'_>) -> Result<Vec<String>, Unmet> {
        Ok(Vec::new())
    }

    fn no_standby(&self, db: &DatabaseRef, lacks: &Lacks) -> Unmet {
        let (facts, what) = match lacks {
            Lacks::State(_) => (
                format!("{} does not answer, so drctl cannot create a standby in its place", db.id),
                "wait until its region is back, check the credentials for it, then run drctl observe"
                    .to_owned(),
            ),
            Lacks::Groups | Lacks::Host => (
                format!(
                    "{} has only its fence's security group, and no run in this store recorded its earlier groups",
                    db.id
                ),
                format!(
                    "make sure that nothing writes to it, then attach its own groups again: aws rds modify-db-instance --db-instance-identifier {} --vpc-security-group-ids ..",
                    db.id
                ),
            ),
        };
        Unmet::new(Rule::NotRecoverable, facts, what)
    }

    fn copied_from(&self, asked: &CopyOf<'_>) -> Result<Source, Unmet> {
        let id = &asked.db.id;
        if asked.timeline {
            let facts = format!("RDS restores {id} from the log of this instance and takes no timeline");
            return Err(Unmet::new(Rule::NotRecoverable, facts, "remove --timeline"));
        }
        if asked.db.admin_secret.is_none() {
            let facts = format!("the plan gives no `admin` login for {id}, so drctl cannot verify the copy");
            return Err(Unmet::new(Rule::NotRecoverable, facts, "add `admin: {secret: ..}` beside its id"));
        }
        Ok(Source::Managed(None))
    }

    fn backups_unread(&self) -> &'static str {
        "get credentials for RDS in that region"
    }

    fn may_copy(&self, db: &DatabaseRef, like: &InstanceSettings) -> Result<(), Unmet> {
        if !like.managed_password {
            return Ok(());
        }
        let facts = format!(
            "RDS keeps the administrator password of {} in a secret of that instance and rotates it",
            db.id
        );
        let what = "manage the password yourself in Secrets Manager. A copy accepts only the password from its point in time";
        Err(Unmet::new(Rule::NotRecoverable, facts, what))
    }
}
