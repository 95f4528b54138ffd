//! C zlib in a process of its own (codec.py): what a peer compresses with, and what judges the library's output.
//! Does not use the library's codec, so that the two cannot be wrong in the same way.

use crate::cc::project;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Zlib {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

#[derive(Clone, Copy)]
pub struct Inflater {
    context: u64,
    strict: bool,
}

#[derive(Clone, Copy)]
pub struct Deflater(u64);

impl Zlib {
    pub fn new() -> Zlib {
        let mut child = Command::new("python3")
            .arg(project().join("tests/deflate/codec.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs (scripts/install.sh python)");
        Zlib {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, mut request: Value, data: &[u8]) -> Result<(Value, Vec<u8>), String> {
        request["length"] = data.len().into();
        self.to
            .write_all(format!("{request}\n").as_bytes())
            .unwrap();
        self.to.write_all(data).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let reply: Value = serde_json::from_str(&line).expect("codec.py answers");
        let mut out = vec![0; reply["length"].as_u64().unwrap() as usize];
        self.from.read_exact(&mut out).unwrap();
        match reply["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok((reply, out)),
        }
    }

    fn create(&mut self, request: Value) -> u64 {
        let reply = self.ask(request, b"").unwrap().0;
        reply["context"].as_u64().unwrap()
    }

    /// An inflater that sees 2^bits bytes back and not one more.
    pub fn strict_inflater(&mut self, bits: u8) -> Inflater {
        let context = self.create(json!({"do": "inflater", "bits": bits}));
        Inflater {
            context,
            strict: true,
        }
    }

    pub fn inflater(&mut self) -> Inflater {
        let context = self.create(json!({"do": "inflater", "bits": 15}));
        Inflater {
            context,
            strict: false,
        }
    }

    pub fn deflater(&mut self, bits: u8) -> Deflater {
        self.deflater_with(bits, 6, 8)
    }

    pub fn deflater_with(&mut self, bits: u8, level: u8, memory: u8) -> Deflater {
        let request = json!({"do": "deflater", "bits": bits, "level": level, "memory": memory});
        Deflater(self.create(request))
    }

    /// The message that a compressed payload is.
    pub fn inflate(&mut self, inflater: Inflater, payload: &[u8]) -> Result<Vec<u8>, String> {
        let Inflater { context, strict } = inflater;
        let request = json!({"do": "inflate", "context": context, "strict": strict});
        Ok(self.ask(request, payload)?.1)
    }

    /// What the payload of a message that stands alone is; none: it is not whole.
    pub fn judge(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let (reply, out) = self.ask(json!({"do": "judge"}), payload)?;
        Ok((reply["whole"] == true).then_some(out))
    }

    /// The payload that a message becomes.
    pub fn deflate(&mut self, deflater: Deflater, message: &[u8]) -> Vec<u8> {
        self.flush(deflater, message, "sync")
    }

    /// The same in final blocks; the deflater is of no more use.
    pub fn deflate_finally(&mut self, deflater: Deflater, message: &[u8]) -> Vec<u8> {
        self.flush(deflater, message, "finish")
    }

    fn flush(&mut self, deflater: Deflater, message: &[u8], flush: &str) -> Vec<u8> {
        let request = json!({"do": "deflate", "context": deflater.0, "flush": flush});
        self.ask(request, message).unwrap().1
    }

    /// A message that stands on its own.
    pub fn alone(&mut self, message: &[u8]) -> Vec<u8> {
        let deflater = self.deflater(15);
        self.deflate(deflater, message)
    }

    /// So many MiB of zeros.
    pub fn bomb(&mut self, mib: u32) -> Vec<u8> {
        self.ask(json!({"do": "bomb", "mib": mib}), b"").unwrap().1
    }
}

impl Drop for Zlib {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
