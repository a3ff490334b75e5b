//! Kinds of Amazon Web Services.

pub mod arn;
pub mod aurora;
pub mod autoscaling;
pub mod ecs;
pub mod rds;
pub mod route53;
pub mod s3;
pub mod services;
