//! Compiles the `.proto` files: prost's types, and for each message the field reader that `lenient` drives.
//!
//! No protoc is needed: protox parses the files. The field readers are generated here because what a message
//! accepts from foreign encoders differs from what prost would accept; see `src/lenient.rs`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// Our files, all in `proto/`, and the module of this crate that holds the types of each one's package.
const FILES: [(&str, &str); 9] = [
    ("archipelago.proto", "archipelago"),
    ("archipelago_2022.proto", "archipelago_2022"),
    ("atoll.proto", "atoll"),
    ("bff.proto", "bff"),
    ("comms_2022.proto", "data"),
    ("rfc4.proto", "rfc4"),
    ("rfc5.proto", "rfc5"),
    ("rpc.proto", "rpc"),
    ("ws_2022.proto", "ws_2022"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut readers = String::new();
    for (file, _) in FILES {
        let mut compiler = protox::Compiler::new(["proto"])?;
        compiler.include_source_info(true).include_imports(true).open_file(file)?;
        let pool = compiler.descriptor_pool();

        let mut config = prost_build::Config::new();
        for (other, module) in FILES.iter().filter(|(other, _)| *other != file) {
            if let Some(other) = pool.get_file_by_name(other) {
                config.extern_path(format!(".{}", other.package_name()), format!("crate::{module}"));
            }
        }
        config.compile_fds(compiler.file_descriptor_set())?;

        for message in pool.all_messages().filter(|message| message.parent_file().name() == file) {
            refuse_cycles(&message, &mut Vec::new())?;
            write_reader(&mut readers, &message)?;
        }
    }
    fs::write(out.join("readers.rs"), readers)?;
    Ok(())
}

/// Reading recurses by message type, so the types bound its depth, as long as none contains itself.
fn refuse_cycles(message: &MessageDescriptor, above: &mut Vec<MessageDescriptor>) -> Result<(), Box<dyn Error>> {
    if above.contains(message) {
        return Err(format!("{} contains itself: reading it would have no bound", message.full_name()).into());
    }
    above.push(message.clone());
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            refuse_cycles(&inner, above)?;
        }
    }
    above.pop();
    Ok(())
}

/// Writes `impl ReadField` for one message: a match over the tags (field number and wire type) it knows.
fn write_reader(out: &mut String, message: &MessageDescriptor) -> Result<(), Box<dyn Error>> {
    let name = rust_type(message)?;
    writeln!(out, "impl ReadField for {name} {{")?;
    writeln!(out, "    fn read_field(&mut self, tag: u32, reader: &mut Reader<'_>) -> Result<bool, DecodeError> {{")?;
    writeln!(out, "        match tag {{")?;
    for field in message.fields() {
        write_arms(out, &name, &field)?;
    }
    writeln!(out, "            _ => return Ok(false),")?;
    writeln!(out, "        }}\n        Ok(true)\n    }}")?;

    let maps: Vec<_> = message.fields().filter(is_map).collect();
    if !maps.is_empty() {
        writeln!(out, "    fn finish(&mut self) {{")?;
        for map in maps {
            writeln!(out, "        keep_last(&mut self.{}, |entry| &entry.key);", rust_field(&map))?;
        }
        writeln!(out, "    }}")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// Writes the arms for one field: its own tag, the packed form of a list of numbers, the other type of a coordinate.
fn write_arms(out: &mut String, message: &str, field: &FieldDescriptor) -> Result<(), Box<dyn Error>> {
    let (wire_type, read) = match field.kind() {
        Kind::Message(inner) => (2, format!("reader.message::<{}>()?", rust_type(&inner)?)),
        kind => {
            let (wire_type, method) =
                scalar(&kind).ok_or_else(|| format!("{}: no reader for its type", field.full_name()))?;
            (wire_type, format!("reader.{method}()?"))
        }
    };
    let tag = |wire_type: u32| field.number() << 3 | wire_type;
    let target = format!("self.{}", rust_field(field));

    if is_map(field) && is_message_valued(field) {
        // The originals drop an entry without a value when the value is a message.
        writeln!(
            out,
            "            {} => {target}.extend(Some({read}).filter(|entry| entry.value.is_some())),",
            tag(2)
        )?;
        return Ok(());
    }
    if field.is_list() {
        writeln!(out, "            {} => {target}.push({read}),", tag(wire_type))?;
        if wire_type != 2 {
            let (_, method) = scalar(&field.kind()).ok_or("a list of numbers")?;
            writeln!(out, "            {} => reader.packed(&mut {target}, Reader::{method})?,", tag(2))?;
        }
        return Ok(());
    }
    let assign = |value: String| match field.containing_oneof() {
        Some(oneof) if !oneof.is_synthetic() => {
            let case = format!("{}::{}::{}", snake_type(message), camel(oneof.name()), camel(field.name()));
            format!("self.{} = Some({case}({value}))", oneof.name())
        }
        _ if field.supports_presence() => format!("{target} = Some({value})"),
        _ => format!("{target} = {value}"),
    };
    writeln!(out, "            {} => {},", tag(wire_type), assign(read))?;
    match field.kind() {
        Kind::Float if is_coordinate(field) => {
            writeln!(out, "            {} => {},", tag(1), assign("reader.double()? as f32".into()))?;
        }
        Kind::Double if is_coordinate(field) => {
            writeln!(out, "            {} => {},", tag(5), assign("f64::from(reader.float()?)".into()))?;
        }
        _ => {}
    }
    Ok(())
}

/// Wire type of a scalar and the `Reader` method that reads it.
fn scalar(kind: &Kind) -> Option<(u32, &'static str)> {
    Some(match kind {
        Kind::Double => (1, "double"),
        Kind::Float => (5, "float"),
        Kind::Fixed32 => (5, "fixed32"),
        Kind::Uint32 => (0, "uint32"),
        Kind::Int32 | Kind::Enum(_) => (0, "int32"),
        Kind::Uint64 => (0, "uint64"),
        Kind::Bool => (0, "bool"),
        Kind::String => (2, "string"),
        Kind::Bytes => (2, "bytes"),
        _ => return None,
    })
}

/// Coordinates changed between float and double over the years, so they are read in either.
fn is_coordinate(field: &FieldDescriptor) -> bool {
    ["x", "y", "z", "position_x", "position_y", "position_z"].contains(&field.name())
}

/// A map written out as repeated entries: a nested message named after the field, as protoc names the entries of a map.
fn is_map(field: &FieldDescriptor) -> bool {
    let Kind::Message(entry) = field.kind() else { return false };
    field.is_list()
        && entry.parent_message().as_ref() == Some(field.parent_message())
        && entry.name() == format!("{}Entry", camel(field.name()))
}

fn is_message_valued(field: &FieldDescriptor) -> bool {
    let Kind::Message(entry) = field.kind() else { return false };
    entry.get_field_by_name("value").is_some_and(|value| matches!(value.kind(), Kind::Message(_)))
}

/// Path of the Rust type that prost generates for a message.
fn rust_type(message: &MessageDescriptor) -> Result<String, Box<dyn Error>> {
    if let Some(parent) = message.parent_message() {
        return Ok(format!("{}::{}", snake_type(&rust_type(&parent)?), message.name()));
    }
    let file = message.parent_file();
    let module = FILES.iter().find(|(name, _)| *name == file.name()).map(|(_, module)| module);
    let module = module.ok_or_else(|| format!("{} is in no module", message.full_name()))?;
    Ok(format!("crate::{module}::{}", message.name()))
}

/// Name of the Rust field that prost generates. `type` is the only keyword our files use.
fn rust_field(field: &FieldDescriptor) -> String {
    match field.name() {
        "type" => "r#type".into(),
        name => name.into(),
    }
}

/// `a::b::ClientPacket` → `a::b::client_packet`, where prost puts what is nested in a message.
fn snake_type(path: &str) -> String {
    let (modules, name) = path.rsplit_once("::").unwrap_or(("", path));
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    format!("{modules}::{snake}")
}

/// `challenge_request` → `ChallengeRequest`.
fn camel(snake: &str) -> String {
    snake
        .split('_')
        .flat_map(|word| word[..1].to_uppercase().chars().chain(word[1..].chars()).collect::<Vec<_>>())
        .collect()
}
