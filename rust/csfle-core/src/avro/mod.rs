//! Avro bytes: a plan compiled once per schema and rules, and the walk that runs it.
//!
//! Knows no crypto: it asks how long each result will be and leaves holes of that size.

mod compile;
mod cursor;
mod layers;
pub mod limits;
mod out;
mod path;
mod place;
mod plan;
mod run;
mod shortcuts;
mod varint;
mod walk;

pub use compile::compile;
pub use cursor::Cursor;
pub use out::{Arena, Fixed, Measure, Out};
pub use plan::{Leaf, LeafId, LeafKind, Mode, Plan, PlanOptions, Program};
pub use varint::write_long;
pub use walk::{Hole, HoleSizes, Walked, Walker};
