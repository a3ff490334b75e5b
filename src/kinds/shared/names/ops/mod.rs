//! What can be done about names.

mod answers;
mod controls;
mod health_object;
mod switch;
