//! The parent's side: pipelined requests to the child, and its restarts.

use std::{
    collections::VecDeque,
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use iso8583::FramingError;
use thiserror::Error;
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::pipe::{
    CHILD_ARGUMENT, DECODE, DONE, ENCODE, HELLO, PIPE_FRAMING, message_of, put, put_message,
    refusal_of,
};
use crate::{
    line::{Line, LineError},
    message::{BankMessage, Unreadable},
};

/// The spec that the child reads.
const SPEC: &str = include_str!("spec.yaml");

/// How many batches may wait for the child; a sender of a further one waits.
const MAX_WAITING_BATCHES: usize = 256;

/// How long a child may take to start and read its spec.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a batch may take before the child is given up.
const BATCH_LIMIT: Duration = Duration::from_secs(5);

/// How many times a child is started again within [`RESTART_WINDOW`] before the codec is given up.
const MAX_RESTARTS: usize = 8;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// How many answers are taken out of the pipe at a time.
const ANSWERS_AT_A_TIME: usize = 1024;

/// The codec's child process cannot be used.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The running program's own path is unknown, and none was configured.
    #[error("the path of the codec program is unknown")]
    ProgramUnknown(#[source] io::Error),
    /// The spec cannot be written to a temporary file.
    #[error("failed to write the spec of the codec to `{path}`")]
    SpecNotWritten {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The child process cannot be started.
    #[error("failed to start `{program}` as the codec's child process")]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The child was started and does not answer: a program that does not call
    /// [`crate::run_codec_child_if_asked`], perhaps.
    #[error("`{program}` was started as the codec's child process and does not answer as one")]
    NoHello {
        /// The program.
        program: PathBuf,
    },
    /// The child died or answered nonsense while it had this batch; another one takes its place.
    #[error("the codec's child process was lost with this batch")]
    Lost,
}

/// A handle to the child process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Iso8583RsCodec {
    batches: mpsc::Sender<Batch>,
}

impl fmt::Debug for Iso8583RsCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iso8583RsCodec")
    }
}

/// Requests that belong together, already in pipe frames.
struct Batch {
    requests: Vec<u8>,
    count: usize,
    answers: oneshot::Sender<Vec<Answer>>,
}

/// The first byte of an answer, and the rest.
type Answer = (u8, Vec<u8>);

impl Iso8583RsCodec {
    /// Starts the child and waits until it has read its spec. Without a program it is the running one.
    pub(crate) async fn start(program: Option<PathBuf>) -> Result<Self, CodecError> {
        let program = match program {
            Some(program) => program,
            None => std::env::current_exe().map_err(CodecError::ProgramUnknown)?,
        };
        let running = RunningChild::start(&program).await?;
        let (batches, waiting) = mpsc::channel(MAX_WAITING_BATCHES);
        tokio::spawn(keep_running(program, running, waiting));
        Ok(Self { batches })
    }

    pub(crate) async fn decode(
        &self,
        frames: &[&[u8]],
    ) -> Result<Vec<Result<BankMessage, Unreadable>>, CodecError> {
        let answers = self
            .exchange(frames.iter(), |frame, out| {
                put(out, DECODE, |out| out.extend_from_slice(frame))
            })
            .await?;
        answers
            .iter()
            .map(|(kind, body)| decoded(*kind, body).ok_or(CodecError::Lost))
            .collect()
    }

    pub(crate) async fn encode(
        &self,
        messages: &[BankMessage],
    ) -> Result<Vec<Result<Vec<u8>, String>>, CodecError> {
        let answers = self
            .exchange(messages.iter(), |message, out| {
                put(out, ENCODE, |out| {
                    put_message(out, message.mti().ascii(), message.fields())
                })
            })
            .await?;
        answers
            .into_iter()
            .map(|(kind, body)| match kind {
                DONE => Ok(Ok(body)),
                _ => refusal_of(&body)
                    .map(|(reason, _)| Err(reason))
                    .ok_or(CodecError::Lost),
            })
            .collect()
    }

    async fn exchange<T>(
        &self,
        items: impl ExactSizeIterator<Item = T>,
        put: impl Fn(T, &mut Vec<u8>) -> bool,
    ) -> Result<Vec<Answer>, CodecError> {
        let count = items.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut requests = Vec::new();
        for item in items {
            if !put(item, &mut requests) {
                // Frames and messages are bounded far below the pipe's limit.
                return Err(CodecError::Lost);
            }
        }
        let (answers, answered) = oneshot::channel();
        let batch = Batch {
            requests,
            count,
            answers,
        };
        self.batches
            .send(batch)
            .await
            .map_err(|_| CodecError::Lost)?;
        answered.await.map_err(|_| CodecError::Lost)
    }
}

fn decoded(kind: u8, body: &[u8]) -> Option<Result<BankMessage, Unreadable>> {
    if kind == DONE {
        return message_of(body).map(Ok);
    }
    let (reason, partial) = refusal_of(body)?;
    let partial = partial.map(Box::new);
    Some(Err(Unreadable { reason, partial }))
}

struct RunningChild {
    /// Killed when dropped.
    process: Child,
    line: Line<UnixStream>,
}

impl RunningChild {
    async fn start(program: &Path) -> Result<Self, CodecError> {
        let spec = SpecFile::write()?;
        let not_started = |source| CodecError::NotStarted {
            program: program.to_owned(),
            source,
        };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(not_started)?;
        ours.set_nonblocking(true).map_err(not_started)?;
        let process = Command::new(program)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .env("SPEC_FILE", &spec.0)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C on a terminal goes to a whole group, and this process still has to answer the
            // batches in progress when it stops; it ends when its input does.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let line = Line::new(
            UnixStream::from_std(ours).map_err(not_started)?,
            PIPE_FRAMING,
        );
        let mut child = Self { process, line };
        match timeout(START_LIMIT, child.hello()).await {
            Ok(Ok(true)) => Ok(child),
            _ => Err(CodecError::NoHello {
                program: program.to_owned(),
            }),
        }
    }

    async fn hello(&mut self) -> Result<bool, LineError> {
        put(self.line.output(), HELLO, |_| {});
        loop {
            self.line.read_while_writing().await?;
            let (frames, consumed) = self.line.frames(1)?;
            if let Some((begin, _)) = frames.first() {
                let is_done = self.line.input().get(*begin) == Some(&DONE);
                self.line.consume(consumed);
                return Ok(is_done);
            }
        }
    }

    /// Passes batches to the child until it is lost, or until the last sender is gone.
    async fn work(&mut self, batches: &mut mpsc::Receiver<Batch>) -> Result<(), LostChild> {
        let mut in_progress = VecDeque::new();
        loop {
            let give_up_at = in_progress
                .front()
                .map(|batch: &BatchInProgress| batch.began + BATCH_LIMIT);
            tokio::select! {
                batch = batches.recv(), if in_progress.len() < MAX_WAITING_BATCHES => match batch {
                    Some(batch) => self.take(batch, &mut in_progress),
                    None => return Ok(()),
                },
                read = self.line.read_while_writing() => {
                    read?;
                    self.deliver(&mut in_progress)?;
                },
                () = sleep_until(give_up_at.unwrap_or_else(Instant::now)), if give_up_at.is_some() => {
                    return Err(LostChild::TimedOut);
                },
            }
        }
    }

    fn take(&mut self, batch: Batch, in_progress: &mut VecDeque<BatchInProgress>) {
        self.line.output().extend_from_slice(&batch.requests);
        in_progress.push_back(BatchInProgress {
            missing: batch.count,
            received: Vec::with_capacity(batch.count),
            answers: batch.answers,
            began: Instant::now(),
        });
    }

    /// Gives each answer to the batch that waits longest, since the child answers in order.
    fn deliver(&mut self, in_progress: &mut VecDeque<BatchInProgress>) -> Result<(), LostChild> {
        loop {
            let (frames, consumed) = self.line.frames(ANSWERS_AT_A_TIME)?;
            if frames.is_empty() {
                return Ok(());
            }
            for (begin, end) in frames {
                let frame = self.line.input().get(begin..end).unwrap_or_default();
                let (kind, body) = frame.split_first().ok_or(LostChild::UnexpectedAnswer)?;
                let batch = in_progress.front_mut().ok_or(LostChild::UnexpectedAnswer)?;
                batch.received.push((*kind, body.to_vec()));
                batch.missing -= 1;
                if batch.missing == 0
                    && let Some(batch) = in_progress.pop_front()
                {
                    // The connection that asked may be gone.
                    let _ = batch.answers.send(batch.received);
                }
            }
            self.line.consume(consumed);
        }
    }
}

/// A batch that the child has.
struct BatchInProgress {
    missing: usize,
    received: Vec<Answer>,
    answers: oneshot::Sender<Vec<Answer>>,
    began: Instant,
}

#[derive(Debug, Error)]
enum LostChild {
    #[error("its pipe ended")]
    Pipe(#[from] LineError),
    #[error("its pipe is out of step")]
    OutOfStep(#[from] FramingError),
    #[error("it took longer than {} s for a batch", BATCH_LIMIT.as_secs())]
    TimedOut,
    #[error("it sent an answer to no request")]
    UnexpectedAnswer,
}

/// Serves batches, and starts the child again when it is lost, until the codec is dropped or the
/// child dies too often; batches then fail, and the lines that brought them are dropped.
async fn keep_running(
    program: PathBuf,
    mut running: RunningChild,
    mut batches: mpsc::Receiver<Batch>,
) {
    let mut restarts: VecDeque<Instant> = VecDeque::new();
    while let Err(reason) = running.work(&mut batches).await {
        tracing::error!(%reason, "the codec's child process was lost");
        // It may still run; the new one must not share the machine with it.
        let _ = running.process.kill().await;
        let now = Instant::now();
        restarts.retain(|at| now.duration_since(*at) < RESTART_WINDOW);
        if restarts.len() >= MAX_RESTARTS {
            tracing::error!("the codec's child process died too often and is given up");
            return;
        }
        restarts.push_back(now);
        match RunningChild::start(&program).await {
            Ok(child) => running = child,
            Err(error) => {
                tracing::error!(%error, "the codec's child process cannot be started again");
                return;
            }
        }
    }
}

/// The spec in a temporary file, which is gone as soon as the child has read it.
struct SpecFile(PathBuf);

/// Tells the spec files of one process apart.
static SPEC_FILES: AtomicU64 = AtomicU64::new(0);

impl SpecFile {
    fn write() -> Result<Self, CodecError> {
        let number = SPEC_FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("bank-sim-spec-{}-{number}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Never through a file or a link of that name that another user made.
        let _ = std::fs::remove_file(&path);
        let written = std::fs::File::create_new(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, SPEC.as_bytes()));
        match written {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(CodecError::SpecNotWritten { path, source }),
        }
    }
}

impl Drop for SpecFile {
    fn drop(&mut self) {
        // A file that stays behind holds nothing secret.
        let _ = std::fs::remove_file(&self.0);
    }
}
