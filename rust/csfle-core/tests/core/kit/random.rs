//! Random schemas and data, with what must come of them.

use proptest::prelude::*;

use super::bodies::{Body, body};
use super::plans::filled;

/// So many cases; a failing one is printed, and no file is left behind.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// A type without its names.
#[derive(Debug, Clone)]
pub enum Node {
    Leaf(&'static str),
    Fixed(usize),
    Enum(usize),
    Array(Box<Node>),
    Map(Box<Node>),
    Nullable(Box<Node>),
    /// `int`, the type, `fixed` in one union.
    Several(Box<Node>),
    /// Fields; with true, tagged where the type can be sealed.
    Record(Vec<(bool, Node)>),
}

/// A type some levels deep.
pub fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        3 => Just(Node::Leaf("string")),
        2 => Just(Node::Leaf("bytes")),
        1 => prop::sample::select(vec!["null", "boolean", "int", "long", "float", "double"]).prop_map(Node::Leaf),
        1 => (0..9usize).prop_map(Node::Fixed),
        1 => (1..4usize).prop_map(Node::Enum),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|node| Node::Array(node.into())),
            1 => inner.clone().prop_map(|node| Node::Map(node.into())),
            1 => inner.clone().prop_map(|node| Node::Nullable(node.into())),
            1 => inner.clone().prop_map(|node| Node::Several(node.into())),
            3 => prop::collection::vec((any::<bool>(), inner), 0..5).prop_map(Node::Record),
        ]
    })
}

/// A record at the root.
pub fn root() -> impl Strategy<Value = Node> {
    prop::collection::vec((any::<bool>(), node()), 1..6).prop_map(Node::Record)
}

impl Node {
    fn is_union(&self) -> bool {
        matches!(self, Node::Nullable(_) | Node::Several(_) | Node::Leaf("null"))
    }

    /// Whether every value that the field's tag reaches is a string, bytes or null.
    fn can_be_tagged(&self) -> bool {
        match self {
            Node::Leaf(kind) => ["string", "bytes", "null"].contains(kind),
            Node::Array(node) | Node::Map(node) | Node::Nullable(node) => node.can_be_tagged(),
            Node::Record(_) => true,
            Node::Fixed(_) | Node::Enum(_) | Node::Several(_) => false,
        }
    }

    /// The schema's JSON. `names` counts the named types.
    pub fn json(&self, names: &mut usize) -> String {
        let mut name = || {
            *names += 1;
            format!("N{names}")
        };
        match self {
            Node::Leaf(kind) => format!("{kind:?}"),
            Node::Fixed(size) => format!(r#"{{"type":"fixed","name":"{}","size":{size}}}"#, name()),
            Node::Enum(count) => {
                let symbols: Vec<String> = (0..*count).map(|n| format!("S{n}")).collect();
                format!(r#"{{"type":"enum","name":"{}","symbols":{symbols:?}}}"#, name())
            }
            Node::Array(node) => format!(r#"{{"type":"array","items":{}}}"#, node.json(names)),
            Node::Map(node) => format!(r#"{{"type":"map","values":{}}}"#, node.json(names)),
            Node::Nullable(node) if node.is_union() => node.json(names),
            Node::Nullable(node) => format!(r#"["null",{}]"#, node.json(names)),
            Node::Several(node) if node.is_union() || matches!(**node, Node::Leaf("int")) => node.json(names),
            Node::Several(node) => {
                let last = format!(r#"{{"type":"fixed","name":"{}","size":2}}"#, name());
                format!(r#"["int",{},{last}]"#, node.json(names))
            }
            Node::Record(fields) => {
                let name = name();
                let field = |(index, (tagged, node)): (usize, &(bool, Node))| {
                    let tags =
                        if *tagged && node.can_be_tagged() { r#","confluent:tags":["PII"]"# } else { "" };
                    format!(r#"{{"name":"f{index}","type":{}{tags}}}"#, node.json(names))
                };
                let fields: Vec<String> = fields.iter().enumerate().map(field).collect();
                format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
            }
        }
    }
}

/// One random datum in three forms, grown side by side.
#[derive(Debug, Clone, Default)]
pub struct Datum {
    /// The body.
    pub body: Body,
    /// The body as it comes back: blocks that hold a tagged value without a size.
    pub back: Body,
    /// What a walk makes of it, its holes filled.
    pub walked: Body,
    /// Tagged values.
    pub tagged: usize,
}

impl Datum {
    fn each(&mut self, write: impl Fn(Body) -> Body) {
        for form in [&mut self.body, &mut self.back, &mut self.walked] {
            *form = write(std::mem::take(form));
        }
    }

    fn extend(&mut self, other: &Self) {
        let pairs =
            [(&mut self.body, &other.body), (&mut self.back, &other.back), (&mut self.walked, &other.walked)];
        for (form, other) in pairs {
            form.0.extend_from_slice(&other.0);
        }
        self.tagged += other.tagged;
    }
}

/// Numbers from a seed (xorshift): a datum needs many small choices.
pub struct Choices(pub u64);

impl Choices {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// A position below `count`.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u64).try_into().unwrap()
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.below(256).try_into().unwrap()
    }

    fn length(&mut self) -> usize {
        let most = [1, 8, 40, 200][usize::try_from(self.below(4)).unwrap()];
        self.below(most).try_into().unwrap()
    }

    /// A random datum of a type; `tagged`: under a tagged field.
    pub fn datum(&mut self, node: &Node, tagged: bool) -> Datum {
        let mut datum = Datum::default();
        match node {
            Node::Leaf("null") => {}
            Node::Leaf("boolean") => datum.each(|form| form.raw([1])),
            Node::Leaf("int") => {
                let value = i32::try_from(self.below(1 << 32).cast_signed() - (1 << 31)).unwrap();
                datum.each(|form| form.long(value.into()));
            }
            Node::Leaf("long") => {
                let value = self.below(u64::MAX).cast_signed();
                datum.each(|form| form.long(value));
            }
            Node::Leaf("float") => datum.each(|form| form.raw([1, 2, 3, 4])),
            Node::Leaf("double") => datum.each(|form| form.raw([8; 8])),
            Node::Leaf(kind) => {
                let length = self.length();
                let value =
                    if *kind == "string" { "é".repeat(length / 2).into_bytes() } else { vec![0xF5; length] };
                datum.body = body().text(&value);
                datum.back = datum.body.clone();
                datum.walked = if tagged { body().text(filled(value.len())) } else { datum.body.clone() };
                datum.tagged = tagged.into();
            }
            Node::Fixed(size) => datum.each(|form| form.raw(vec![7; *size])),
            Node::Enum(count) => {
                let index = self.below(*count as u64).cast_signed();
                datum.each(|form| form.long(index));
            }
            Node::Array(node) => self.blocks(&mut datum, node, tagged, false),
            Node::Map(node) => self.blocks(&mut datum, node, tagged, true),
            Node::Nullable(node) if node.is_union() => datum = self.datum(node, tagged),
            Node::Nullable(node) => {
                let full = self.below(3) > 0;
                datum.each(|form| form.long(full.into()));
                if full {
                    datum.extend(&self.datum(node, tagged));
                }
            }
            Node::Several(node) if node.is_union() || matches!(**node, Node::Leaf("int")) => {
                datum = self.datum(node, tagged);
            }
            Node::Several(node) => match self.below(4) {
                0 => datum.each(|form| form.long(0).long(-1)),
                1 => datum.each(|form| form.long(2).raw([9, 9])),
                _ => {
                    datum.each(|form| form.long(1));
                    datum.extend(&self.datum(node, tagged));
                }
            },
            Node::Record(fields) => {
                for (tagged, node) in fields {
                    datum.extend(&self.datum(node, *tagged && node.can_be_tagged()));
                }
            }
        }
        datum
    }

    fn blocks(&mut self, datum: &mut Datum, node: &Node, tagged: bool, keys: bool) {
        for _ in 0..self.below(3) {
            let count = 1 + self.below(3).cast_signed();
            let mut items = Datum::default();
            for index in 0..count {
                if keys {
                    items.each(|form| form.text(format!("key {index}")));
                }
                items.extend(&self.datum(node, tagged));
            }
            let sized = self.below(2) == 0;
            let block = |form: Body, items: &Body, sized: bool| {
                if sized { form.sized_block(count, items) } else { form.long(count).raw(&items.0) }
            };
            let stays = sized && items.tagged == 0;
            datum.body = block(std::mem::take(&mut datum.body), &items.body, sized);
            datum.back = block(std::mem::take(&mut datum.back), &items.back, stays);
            datum.walked = block(std::mem::take(&mut datum.walked), &items.walked, stays);
            datum.tagged += items.tagged;
        }
        datum.each(|form| form.long(0));
    }
}
