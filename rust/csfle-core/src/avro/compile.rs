//! From schema and hits to a plan.

use std::collections::{HashMap, HashSet};

use super::layers::reachable_layers;
use super::limits;
use super::path::{PathId, PathTree, ROOT};
use super::place::{Leaves, Place};
use super::plan::{LeafKind, Mode, Op, Plan, PlanOptions, Program, position};
use super::shortcuts;
use crate::error::SchemaError;
use crate::schema::{Hits, Inheritance, Record, Schema, Type, TypeId};

/// Records written out inside each other before a call is made instead: keeps the compiler's own
/// recursion short whatever the schema.
const INLINE_DEPTH: usize = 64;

/// Types inside each other in one procedure, for the same reason.
const INLINE_NESTING: u32 = 128;

/// Compiles the plan of a schema.
pub fn compile(schema: &Schema, hits: &Hits, options: PlanOptions) -> Result<Plan, SchemaError> {
    let mut leaves = Leaves::default();
    let layers =
        if options.mode == Mode::Read { reachable_layers(schema, hits, options.inheritance) } else { 1 };
    let mut passes = Vec::new();
    let mut ops_left = limits::PLAN_OPS;
    for pass in 0..layers {
        let exact_read = options.exact && options.mode == Mode::Read;
        let options = PlanOptions { exact: options.exact && pass == layers - 1, ..options };
        let compiler =
            Compiler { exact_read, ops_left, ..Compiler::new(schema, hits, options, pass, &mut leaves) };
        let program = compiler.program()?;
        ops_left -= program.ops.len().min(ops_left);
        passes.push(program);
    }
    Ok(Plan { leaves: leaves.list, passes, mode: options.mode })
}

struct Compiler<'a> {
    schema: &'a Schema,
    hits: &'a Hits,
    options: PlanOptions,
    pass: usize,
    leaves: &'a mut Leaves,
    ops: Vec<Op>,
    paths: Vec<u32>,
    jumps: Vec<u32>,
    path_tree: PathTree,
    /// Whether bodies will be made into rows.
    exact_read: bool,
    /// Ops that the passes before have left of a plan's.
    ops_left: usize,
    inlining: Vec<TypeId>,
    in_procedure: bool,
    /// Procedures by record type and inherited rules; the calls to one not yet placed wait.
    procedures: HashMap<(TypeId, Vec<u16>), usize>,
    waiting: Vec<Procedure>,
    inactive: HashSet<(TypeId, Vec<u16>)>,
}

struct Procedure {
    record: TypeId,
    inherited: Vec<u16>,
    calls: Vec<usize>,
    at: Option<u32>,
}

impl<'a> Compiler<'a> {
    fn new(
        schema: &'a Schema,
        hits: &'a Hits,
        options: PlanOptions,
        pass: usize,
        leaves: &'a mut Leaves,
    ) -> Self {
        Self {
            schema,
            hits,
            options,
            pass,
            leaves,
            ops: Vec::new(),
            paths: Vec::new(),
            jumps: Vec::new(),
            path_tree: PathTree::default(),
            exact_read: false,
            ops_left: limits::PLAN_OPS,
            inlining: Vec::new(),
            in_procedure: false,
            procedures: HashMap::new(),
            waiting: Vec::new(),
            inactive: HashSet::new(),
        }
    }

    fn program(mut self) -> Result<Program, SchemaError> {
        let root = self.schema.root();
        if matches!(self.schema.get(root), Type::Bytes) {
            self.emit(Op::Stop, ROOT); // the body of a root `bytes` schema is the raw bytes
        } else {
            self.tail(root, &Place::default(), false)?;
        }
        self.in_procedure = true;
        let mut next = 0;
        while next < self.waiting.len() {
            let start = position(self.ops.len());
            self.waiting[next].at = Some(start);
            let (record, inherited) = (self.waiting[next].record, self.waiting[next].inherited.clone());
            let place = Place { rules: inherited, ..Place::default() };
            self.inlining.push(record);
            if let Type::Record(fields) = self.schema.get(record) {
                self.fields(record, fields, fields.fields.len(), &place)?;
            }
            self.inlining.pop();
            self.emit(Op::Return, ROOT);
            next += 1;
        }
        for procedure in &self.waiting {
            for call in &procedure.calls {
                if let (Op::Call { procedure: to, .. }, Some(at)) = (&mut self.ops[*call], procedure.at) {
                    *to = at;
                }
            }
        }
        shortcuts::take(&mut self.ops, &self.jumps);
        Ok(Program {
            ops: self.ops,
            paths: self.paths,
            jumps: self.jumps,
            path_tree: self.path_tree.paths,
            checks_text: self.options.mode == Mode::Write,
        })
    }

    fn emit(&mut self, op: Op, path: PathId) -> usize {
        self.ops.push(op);
        self.paths.push(path);
        self.ops.len() - 1
    }

    /// A value behind which the datum ends. `rest`: untagged types that stand behind it were left out.
    fn tail(&mut self, id: TypeId, place: &Place, rest: bool) -> Result<(), SchemaError> {
        let last = if rest { Op::Stop } else { Op::End };
        let ty = self.schema.get(id);
        if self.options.exact {
            self.value(id, place)?;
            self.emit(Op::End, place.path);
            return Ok(());
        }
        if !self.active(id, &place.rules) {
            let last = if matches!(ty, Type::Null) { last } else { Op::Stop };
            self.emit(last, place.path);
            return Ok(());
        }
        match ty {
            Type::Record(record) if self.may_inline(id, place) => {
                let inner = self.enter(id, place);
                let places: Vec<Place> =
                    (0..record.fields.len()).map(|i| self.field_place(id, record, i, &inner)).collect();
                let last_active = (0..record.fields.len()).rev().find(|i| {
                    let place = &places[*i];
                    self.active(record.fields[*i].ty, &place.rules)
                });
                let split = last_active.unwrap_or(0);
                self.fields(id, record, split, &inner)?;
                let behind =
                    record.fields[split + 1..].iter().any(|f| !matches!(self.schema.get(f.ty), Type::Null));
                self.tail(record.fields[split].ty, &places[split], rest || behind)?;
                self.inlining.pop();
            }
            Type::Union(branches) => {
                let table = self.union(branches, place);
                for (index, branch) in branches.iter().enumerate() {
                    self.jumps[table + index] = position(self.ops.len());
                    self.tail(*branch, &self.branch_place(branches, place), rest)?;
                }
            }
            _ => {
                self.value(id, place)?;
                self.emit(last, place.path);
            }
        }
        self.check_size()
    }

    fn value(&mut self, id: TypeId, place: &Place) -> Result<(), SchemaError> {
        let ty = self.schema.get(id);
        if !self.schema.takes_bytes(id) && !self.active(id, &place.rules) {
            // Nothing to walk. Records of no bytes that hold each other twice would else be walked
            // through 2^n times without an op, or a byte, to count.
            return Ok(());
        }
        match ty {
            Type::Array(items) => {
                let path = self.path_tree.items(place.path);
                self.blocks(*items, &place.inside(path), false)?;
            }
            Type::Map(values) => {
                let path = self.path_tree.values(place.path);
                self.blocks(*values, &place.inside(path), true)?;
            }
            Type::Union(branches) => {
                let table = self.union(branches, place);
                let mut to_join = Vec::new();
                let filled = |id: &TypeId| !matches!(self.schema.get(*id), Type::Null);
                let last = branches.iter().rposition(filled).unwrap_or(0);
                for (index, branch) in branches.iter().enumerate() {
                    let start = self.ops.len();
                    self.jumps[table + index] = position(start);
                    self.value(*branch, &self.branch_place(branches, place))?;
                    if index < last && self.ops.len() > start {
                        to_join.push(self.emit(Op::Jump(0), place.path));
                    } else if self.ops.len() == start {
                        self.jumps[table + index] = u32::MAX; // nothing to walk: straight to the join
                    }
                }
                let join = position(self.ops.len());
                for jump in to_join {
                    self.ops[jump] = Op::Jump(join);
                }
                for target in &mut self.jumps[table..table + branches.len()] {
                    if *target == u32::MAX {
                        *target = join;
                    }
                }
            }
            Type::Record(record) if self.may_inline(id, place) => {
                let inner = self.enter(id, place);
                if self.in_procedure {
                    self.emit(Op::Deeper(inner.levels), place.path);
                }
                self.fields(id, record, record.fields.len(), &inner)?;
                self.inlining.pop();
            }
            Type::Record(_) => self.call(id, place),
            _ => self.leaf(id, ty, place),
        }
        self.check_size()
    }

    fn fields(
        &mut self,
        id: TypeId,
        record: &Record,
        count: usize,
        inner: &Place,
    ) -> Result<(), SchemaError> {
        for index in 0..count {
            let place = self.field_place(id, record, index, inner);
            self.value(record.fields[index].ty, &place)?;
        }
        Ok(())
    }

    /// The place of a field, with the rules that hit it.
    fn field_place(&mut self, id: TypeId, record: &Record, index: usize, inner: &Place) -> Place {
        let field_id = (id, position(index));
        Place {
            field: Some(field_id),
            rules: self.field_rules(id, record, index, &inner.rules),
            path: self.path_tree.field(inner.path, field_id, &record.fields[index].name),
            levels: inner.levels,
            nesting: inner.nesting + 1,
            direct: true,
            of_several: false,
        }
    }

    /// The rules that hit the leaves of a field inside a field that `around` hits.
    fn field_rules(&self, id: TypeId, record: &Record, index: usize, around: &[u16]) -> Vec<u16> {
        let mut rules = self.hits.get(&(id, position(index))).cloned().unwrap_or_default();
        let plain = self.schema.get(record.fields[index].ty).is_plain_primitive();
        if self.options.inheritance == Inheritance::Java && plain {
            rules.extend(around);
            rules.sort_unstable();
            rules.dedup();
        }
        rules
    }

    fn branch_place(&self, branches: &[TypeId], place: &Place) -> Place {
        let several = branches.iter().filter(|id| !matches!(self.schema.get(**id), Type::Null)).count() > 1;
        Place { of_several: place.direct && several, ..place.inside(place.path) }
    }

    /// Emits the union op; its jumps are still to be filled in.
    fn union(&mut self, branches: &[TypeId], place: &Place) -> usize {
        let table = self.jumps.len();
        self.jumps.resize(table + branches.len(), 0);
        self.emit(Op::Union { table: position(table), count: position(branches.len()) }, place.path);
        table
    }

    fn blocks(&mut self, items: TypeId, place: &Place, keys: bool) -> Result<(), SchemaError> {
        let takes_bytes = keys || self.schema.takes_bytes(items);
        let start = self.emit(Op::Blocks { end: 0, takes_bytes }, place.path);
        if keys {
            self.emit(if self.options.exact { Op::Text } else { Op::Bytes }, place.path);
        }
        self.value(items, place)?;
        self.emit(Op::Next, place.path);
        self.ops[start] = Op::Blocks { end: position(self.ops.len()), takes_bytes };
        Ok(())
    }

    fn leaf(&mut self, id: TypeId, ty: &Type, place: &Place) {
        let hit = !place.rules.is_empty();
        let plain = match ty {
            Type::Boolean => Op::Boolean,
            Type::Int => Op::Int,
            Type::Long => Op::Long,
            Type::Float => Op::Fixed(4),
            Type::Double => Op::Fixed(8),
            Type::Fixed(fixed) => Op::Fixed(position(fixed.size)),
            Type::Enum(symbols) => Op::Enum(position(symbols.symbols.len())),
            Type::String | Type::Bytes => {
                let text = matches!(ty, Type::String);
                let kind = if text { LeafKind::Text } else { LeafKind::Bytes };
                let number = self.exact_read && self.schema.decimal(id).is_some();
                let opened = place.rules.len() <= self.pass + 1; // not to the ciphertext of another rule
                let most = if number && opened { limits::DECIMAL_BYTES } else { usize::MAX };
                match place.field.filter(|_| place.rules.len() > self.pass) {
                    Some(field) => Op::Hole(self.leaves.id(field, kind, &place.rules, most)),
                    None if number => Op::ShortBytes(position(most)),
                    None if text && self.options.exact => Op::Text,
                    None => Op::Bytes,
                }
            }
            _ => return, // null takes no bytes, and the others are no leaves
        };
        if hit && self.options.mode == Mode::Write && !matches!(ty, Type::String | Type::Bytes) {
            self.emit(if place.of_several { Op::Pass } else { Op::Refuse }, place.path);
        }
        self.emit(plain, place.path);
    }

    fn may_inline(&self, id: TypeId, place: &Place) -> bool {
        !self.inlining.contains(&id)
            && self.inlining.len() < INLINE_DEPTH
            && place.nesting < INLINE_NESTING
            && self.ops.len() < limits::INLINE_OPS
    }

    fn enter(&mut self, id: TypeId, place: &Place) -> Place {
        self.inlining.push(id);
        Place { levels: place.levels + 1, ..place.inside(place.path) }
    }

    fn call(&mut self, record: TypeId, place: &Place) {
        let inherited =
            if self.options.inheritance == Inheritance::Java { place.rules.clone() } else { Vec::new() };
        let call = self.emit(Op::Call { procedure: 0, levels: place.levels + 1 }, place.path);
        let waiting = &mut self.waiting;
        let index = *self.procedures.entry((record, inherited.clone())).or_insert_with(|| {
            waiting.push(Procedure { record, inherited, calls: Vec::new(), at: None });
            waiting.len() - 1
        });
        self.waiting[index].calls.push(call);
    }

    /// Whether a value of this type may hold something that this pass must stop at.
    fn active(&mut self, id: TypeId, rules: &[u16]) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![(id, rules.to_vec())];
        while let Some(entry) = open.pop() {
            if self.inactive.contains(&entry) || !seen.insert(entry.clone()) {
                continue;
            }
            let (id, rules) = entry;
            match self.schema.get(id) {
                Type::String | Type::Bytes if rules.len() > self.pass => return true,
                Type::String | Type::Bytes | Type::Null => {}
                Type::Array(inner) | Type::Map(inner) => open.push((*inner, rules)),
                Type::Union(branches) => open.extend(branches.iter().map(|b| (*b, rules.clone()))),
                Type::Record(record) => {
                    for (index, field) in record.fields.iter().enumerate() {
                        open.push((field.ty, self.field_rules(id, record, index, &rules)));
                    }
                }
                _ if !rules.is_empty() && self.options.mode == Mode::Write => return true,
                _ => {}
            }
        }
        self.inactive.extend(seen);
        false
    }

    fn check_size(&self) -> Result<(), SchemaError> {
        if self.ops.len() > self.ops_left {
            return Err(SchemaError::of(
                "plan_too_large",
                "the schema compiles to more steps than a plan may have",
            ));
        }
        Ok(())
    }
}
