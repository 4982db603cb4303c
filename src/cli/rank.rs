//! `ciyuan run`.

use std::path::PathBuf;

use ciyuan::pipeline::{FolderLock, RankDone, run_rank};
use serde::Serialize;

use super::context::Context;
use super::failure::{Failure, Outcome};

/// Do the units of one rank of a plan
///
/// Rank R of W does the units R, R + W, R + 2W, ... of the plan in DIR. Units that are done are passed over, whoever did
/// them, so W may change, and a rank may be run again, or twice at once. Without the flags, rank and world size are those
/// of RANK and WORLD_SIZE, of a Slurm array or a Slurm step, of an array job of AWS Batch, or the rank of an indexed job
/// of Kubernetes (which needs --world-size or WORLD_SIZE); without any of them this is the only rank.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan run shards --rank 0 --world-size 2
Example: sbatch --array=0-63 --wrap 'ciyuan run /data/shards'")]
pub(super) struct Args {
    /// A folder made by `plan`, or by `learn --plan`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Which rank this is, from 0
    #[arg(long, value_name = "R")]
    rank: Option<u64>,
    /// How many ranks there are
    #[arg(long, value_name = "W")]
    world_size: Option<u64>,
}

#[derive(Serialize)]
struct Result {
    rank: u64,
    world_size: u64,
    #[serde(flatten)]
    done: RankDone,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (rank, world_size) = place(args.rank, args.world_size, &variable).map_err(Failure::Usage)?;
    let _lock = FolderLock::share(&args.folder)?;
    let done = context.with_progress(|progress| run_rank(&args.folder, rank, world_size, progress))?;
    context.show(&Result { rank, world_size, done }, || {
        let RankDone { units, encoded, documents, tokens, counted_bytes, .. } = done;
        let made = match counted_bytes {
            Some(bytes) => format!("counted      {bytes} bytes of text"),
            None => format!("tokens       {tokens}"),
        };
        format!(
            "rank         {rank} of {world_size}\nunits        {units}, {encoded} of them by this run\ndocuments    {documents}\n{made}\n"
        )
    })
}

/// Rank and world size: those given, else those of the first scheduler whose variables are there.
fn place(
    rank: Option<u64>,
    world_size: Option<u64>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> std::result::Result<(u64, u64), String> {
    let number = |name: &str| -> std::result::Result<Option<u64>, String> {
        let Some(value) = variable(name) else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| format!("the variable {name} is `{value}`, no whole number"))
    };
    let found = match (rank, world_size) {
        (Some(_), Some(_)) => (None, None),
        _ => scheduled(&number)?,
    };
    let world_size = match world_size.or(found.1) {
        Some(world_size) => Some(world_size),
        None => number("WORLD_SIZE")?,
    };
    match (rank.or(found.0), world_size) {
        (Some(rank), Some(world_size)) if rank < world_size => Ok((rank, world_size)),
        (Some(rank), Some(world_size)) => {
            Err(format!("rank {rank} is not below the world size, {world_size}; ranks are counted from 0"))
        }
        (None, None | Some(1)) => Ok((0, 1)),
        (Some(_), None) => Err("a rank is given, but not of how many; add --world-size".to_owned()),
        (None, Some(_)) => Err("a world size is given, but no rank; add --rank".to_owned()),
    }
}

type Number<'n> = &'n dyn Fn(&str) -> std::result::Result<Option<u64>, String>;

/// What the variables of schedulers say.
fn scheduled(number: Number<'_>) -> std::result::Result<(Option<u64>, Option<u64>), String> {
    if let (Some(rank), Some(size)) = (number("RANK")?, number("WORLD_SIZE")?) {
        return Ok((Some(rank), Some(size)));
    }
    // Set by `srun` alone: the tasks of a batch script that is not run by it would all but one be missing.
    let step = match (number("SLURM_PROCID")?, number("SLURM_STEP_NUM_TASKS")?) {
        (Some(rank), Some(size)) if rank < size => Some((rank, size)),
        _ => None,
    };
    if let (Some(task), Some(count)) = (number("SLURM_ARRAY_TASK_ID")?, number("SLURM_ARRAY_TASK_COUNT")?) {
        let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        let stride = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let at = task.checked_sub(first).filter(|past| past % stride == 0).map(|past| past / stride);
        let at = at.filter(|at| *at < count).ok_or_else(|| {
            format!("task {task} of the Slurm array is not one of {count} in a row; give --rank and --world-size")
        })?;
        // Tasks of an array may be steps of several processes each.
        let (rank, size) = step.unwrap_or((0, 1));
        return Ok((Some(at.saturating_mul(size).saturating_add(rank)), Some(count.saturating_mul(size))));
    }
    if let Some((rank, size)) = step {
        return Ok((Some(rank), Some(size)));
    }
    if let (Some(rank), Some(size)) = (number("AWS_BATCH_JOB_ARRAY_INDEX")?, number("AWS_BATCH_JOB_ARRAY_SIZE")?) {
        return Ok((Some(rank), Some(size)));
    }
    // Kubernetes tells a pod its index, not how many there are.
    Ok((number("JOB_COMPLETION_INDEX")?, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Place = std::result::Result<(u64, u64), String>;

    fn with(rank: Option<u64>, world_size: Option<u64>, variables: &[(&str, &str)]) -> Place {
        let variable =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        place(rank, world_size, &variable)
    }

    #[test]
    fn places_of_schedulers() {
        let slurm_array = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
        ];
        let step = [("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "3")];
        let both = [&slurm_array[..], &step[..]].concat();
        let aws = [("AWS_BATCH_JOB_ARRAY_INDEX", "5"), ("AWS_BATCH_JOB_ARRAY_SIZE", "6")];
        let kubernetes = [("JOB_COMPLETION_INDEX", "2")];
        assert_eq!(with(None, None, &[]), Ok((0, 1)));
        assert_eq!(with(Some(3), Some(4), &aws), Ok((3, 4)));
        assert_eq!(with(None, None, &slurm_array), Ok((2, 4)));
        assert_eq!(with(None, None, &step), Ok((1, 3)));
        assert_eq!(with(None, None, &both), Ok((7, 12)));
        assert_eq!(with(None, None, &aws), Ok((5, 6)));
        assert_eq!(with(None, Some(7), &kubernetes), Ok((2, 7)));
        assert_eq!(with(None, None, &[kubernetes[0], ("WORLD_SIZE", "3")]), Ok((2, 3)));
        assert_eq!(with(None, None, &[("RANK", "1"), ("WORLD_SIZE", "2"), aws[0], aws[1]]), Ok((1, 2)));
        // The allocation's tasks, which a batch script sees without being one of them.
        assert_eq!(with(None, None, &[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8")]), Ok((0, 1)));
    }

    #[test]
    fn places_that_cannot_be() {
        assert!(with(Some(4), Some(4), &[]).unwrap_err().contains("not below"));
        assert!(with(Some(0), Some(0), &[]).is_err());
        assert!(with(Some(1), None, &[]).unwrap_err().contains("--world-size"));
        assert!(with(None, Some(2), &[]).unwrap_err().contains("--rank"));
        assert!(with(None, None, &[("JOB_COMPLETION_INDEX", "2")]).is_err());
        assert!(with(None, None, &[("RANK", "x"), ("WORLD_SIZE", "2")]).unwrap_err().contains("RANK"));
        let irregular = [("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_COUNT", "3"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert!(with(None, None, &irregular).unwrap_err().contains("array"));
    }
}
