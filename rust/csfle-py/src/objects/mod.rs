//! Python objects by the schema table: rows to bodies and back, and what is wrong with a row.

mod bodies;
mod choice;
mod codec;
mod decimal;
mod decode;
mod depth;
mod encode;
mod fitting;
mod leaf;
mod logical;
mod misfit;
mod program;
mod slow;

pub use bodies::Bodies;
pub use codec::{RowCodec, decode_rows};
pub use decimal::oversized_decimal;
pub use depth::too_deep;
pub use misfit::first_misfit;
