//! ARNs of what a recovery acts on, and the calls that it makes there.
//!
//! Source: Service Authorization Reference, of RDS, EC2 Auto Scaling, Route 53, ARC, CloudWatch, Secrets Manager and S3.

use crate::model::place::Place;
use crate::model::readiness::Needs;

/// Which partition it is (GovCloud and China have their own), the credentials tell (IAM User Guide, «Identify AWS resources with ARNs»).
pub fn regional(place: &Place, service: &str, rest: &str) -> String {
    format!("arn:{{partition}}:{service}:{}:{{account}}:{rest}", place.region)
}

/// The ARN of what belongs to an account and to no region.
pub fn global(service: &str, rest: &str) -> String {
    format!("arn:{{partition}}:{service}::{{account}}:{rest}")
}

/// The ARN of what has neither region nor account in its name, such as a bucket.
pub fn public(service: &str, rest: &str) -> String {
    format!("arn:{{partition}}:{service}:::{rest}")
}

/// Secrets Manager adds six characters to the name of a secret (User Guide, «IAM policy examples»).
pub fn secret(place: &Place, id: &str) -> String {
    match id.starts_with("arn:") {
        true => id.to_owned(),
        false => regional(place, "secretsmanager", &format!("secret:{id}-??????")),
    }
}

/// What an object needs, and its bucket: a caller who may not list it gets «denied» for objects that do not exist.
pub fn object(place: &Place, (bucket, key): (&str, &str), needs: &mut Needs) {
    let acts = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"];
    needs.add(place, public("s3", &format!("{bucket}/{key}")), &acts);
    needs.add(place, public("s3", bucket), &["s3:ListBucket"]);
}
