//! Scalars and histograms for TensorBoard, as its event files.
//!
//! A file is a sequence of records (length, its checksum, message, its checksum), each message a protobuf `Event`. The fields
//! used here are few, so they are written by hand. What a run measured is in its metrics log; this is the same for the eye.

use super::crc32c::crc32c;
use super::host;
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Number of equal bins in a histogram.
const BINS: usize = 30;

/// An event file that is being written.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
    wall_time: f64,
    clock: Clock,
}

/// How time goes on after the start; tests stand still.
#[derive(Debug)]
enum Clock {
    Running(Instant),
    #[cfg(test)]
    Standing(f64),
}

impl EventWriter {
    /// Start a new event file in the existing `folder`; `wall_time` is now, in seconds since 1970 (UTC).
    ///
    /// The file is called `events.out.tfevents.<seconds>.<host>.<process>.<n>`; an existing one is never touched.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn create(folder: impl AsRef<Path>, wall_time: f64) -> Result<Self> {
        let folder = folder.as_ref();
        // TensorBoard reads the files of a folder in the order of their names, so the seconds keep ten digits.
        let stem = format!("events.out.tfevents.{:010}.{}.{}", wall_time as u64, host::name(), std::process::id());
        let mut number = 0u64;
        let (path, file) = loop {
            let path = folder.join(format!("{stem}.{number}"));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::io(path)(error)),
            }
        };
        let clock = Clock::Running(Instant::now());
        let mut writer = Self { path, file: BufWriter::new(file), wall_time, clock };
        let mut version = Message::default();
        version.bytes(3, b"brain.Event:2");
        writer.event_at(wall_time, 0, &version)?;
        Ok(writer)
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Say that the run goes on from `step`: TensorBoard forgets what earlier files have from that step on.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn resume_at(&mut self, step: u64) -> Result<()> {
        let mut session = Message::default();
        session.number(1, 1);
        let mut event = Message::default();
        event.bytes(7, &session.0);
        self.event(step, &event)
    }

    /// Record one number, kept in single precision by the format; NaN and infinities are shown as such.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.single(2, value as f32);
        self.summary(step, &entry)
    }

    /// Record the distribution of `values` in 30 equal bins between the least and the largest.
    ///
    /// Values that are not finite have no place in a histogram and are left out.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &[f64]) -> Result<()> {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.bytes(5, &histogram(values).0);
        self.summary(step, &entry)
    }

    /// Hand everything recorded so far to the operating system, so that TensorBoard sees it.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(Error::io(&self.path))
    }

    fn summary(&mut self, step: u64, entry: &Message) -> Result<()> {
        let mut summary = Message::default();
        summary.bytes(1, &entry.0);
        let mut event = Message::default();
        event.bytes(5, &summary.0);
        self.event(step, &event)
    }

    fn event(&mut self, step: u64, content: &Message) -> Result<()> {
        let elapsed = match &self.clock {
            Clock::Running(start) => start.elapsed().as_secs_f64(),
            #[cfg(test)]
            Clock::Standing(seconds) => *seconds,
        };
        self.event_at(self.wall_time + elapsed, step, content)
    }

    fn event_at(&mut self, wall_time: f64, step: u64, content: &Message) -> Result<()> {
        let mut event = Message::default();
        event.double(1, wall_time);
        event.number(2, step);
        event.0.extend_from_slice(&content.0);
        let record = record(&event.0);
        self.file.write_all(&record).map_err(Error::io(&self.path))
    }
}

/// `HistogramProto`: min, max, number, sum, sum of squares, right edges of the bins, counts.
fn histogram(values: &[f64]) -> Message {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mut message = Message::default();
    if finite.is_empty() {
        return message;
    }
    let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bins = if least == largest { 1 } else { BINS };
    // Halved first: the distance between the extremes may exceed the largest number.
    let width = largest / 2.0 - least / 2.0;
    let mut counts = vec![0.0; bins];
    for value in &finite {
        let place = if bins == 1 { 0.0 } else { (value / 2.0 - least / 2.0) / width * bins as f64 };
        counts[(place as usize).min(bins - 1)] += 1.0;
    }
    let edge = |bin: usize| {
        let part = (bin + 1) as f64 / bins as f64;
        if bin + 1 == bins { largest } else { 2.0 * (least / 2.0 + part * width) }
    };
    message.double(1, least);
    message.double(2, largest);
    message.double(3, finite.len() as f64);
    message.double(4, finite.iter().sum());
    message.double(5, finite.iter().map(|value| value * value).sum());
    message.doubles(6, (0..bins).map(edge));
    message.doubles(7, counts.into_iter());
    message
}

/// A message between its length and the masked checksums of both.
fn record(message: &[u8]) -> Vec<u8> {
    // The mask keeps checksums of data that contain checksums apart.
    let masked = |bytes: &[u8]| crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (message.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), message, &masked(message)].concat()
}

/// A protobuf message being written. Numbers that are zero are left out, as the format does.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, 0);
            self.varint(value);
        }
    }

    fn double(&mut self, field: u64, value: f64) {
        if value.to_bits() != 0 {
            self.key(field, 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// One of several alternatives: its presence says which, so zero is written too.
    fn single(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn doubles(&mut self, field: u64, values: impl Iterator<Item = f64>) {
        let packed: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
        self.bytes(field, &packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_bytes_are_those_that_tensorboard_writes() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), 1_700_000_000.25).unwrap();
        writer.clock = Clock::Standing(1.0);
        writer.resume_at(300).unwrap();
        writer.clock = Clock::Standing(2.0);
        for (step, value) in [(0, 0.0), (1, -1.5), (300, 0.1), (1 << 40, f64::INFINITY)] {
            writer.scalar("loss/total \u{e9}", step, value).unwrap();
        }
        writer.clock = Clock::Standing(3.0);
        let mut values: Vec<f64> = (0..31).map(f64::from).collect();
        values.extend([f64::NAN, f64::INFINITY]);
        writer.histogram("weights", 5, &values).unwrap();
        writer.histogram("weights", 6, &[2.5; 4]).unwrap();
        writer.histogram("weights", 7, &[f64::NAN]).unwrap();
        writer.flush().unwrap();
        // Made by tests/fixtures/storage/make_events.py.
        let expected = include_bytes!("../../tests/fixtures/storage/events.bin");
        assert!(fs::read(writer.path()).unwrap() == expected);
    }

    #[test]
    fn files_get_names_that_tensorboard_finds_and_never_replace_others() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventWriter::create(folder.path(), 5.9).unwrap();
        let second = EventWriter::create(folder.path(), 5.9).unwrap();
        let stem = format!("events.out.tfevents.0000000005.{}.{}", host::name(), std::process::id());
        for (number, writer) in [first, second].iter().enumerate() {
            assert_eq!(writer.path(), folder.path().join(format!("{stem}.{number}")));
        }
        let refused = EventWriter::create(folder.path().join("none"), 0.0);
        assert!(matches!(refused, Err(Error::Io { .. })));
    }

    #[test]
    fn time_goes_on_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), 100.0).unwrap();
        writer.scalar("a", 0, 1.0).unwrap();
        writer.flush().unwrap();
        let bytes = fs::read(writer.path()).unwrap();
        // The second record begins after the first: 12 bytes, the message, 4 bytes; its time after 12 more and the field's key.
        let second = 16 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let time = f64::from_le_bytes(bytes[second + 13..second + 21].try_into().unwrap());
        assert!(time > 100.0 && time < 160.0, "{time}");
    }

    #[test]
    fn extreme_values_fall_into_bins() {
        let message = histogram(&[-f64::MAX, 0.0, f64::MAX]);
        // Counts are the last 30 doubles.
        let tail = &message.0[message.0.len() - 8 * BINS..];
        let counts: Vec<f64> = tail.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!((counts[0], counts[15], counts[29], counts.iter().sum::<f64>()), (1.0, 1.0, 1.0, 3.0));
    }
}
