#!/usr/bin/env bash
# A job for one experiment on a Slurm cluster; arguments are those of `synfire run`, for example
#   sbatch --array=1-4 docs/jobs/slurm.sh plugins/timescales/experiments/single-parity.toml
# Each task of an array has its own seed. A job that is sent again after its time limit goes on where it stopped.
#SBATCH --job-name=synfire
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=1-00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
set -euo pipefail

synfire=${SYNFIRE:-synfire}
job=${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-0}}
task=${SLURM_ARRAY_TASK_ID:-1}
run=runs/job-$job-$task

# Without `exec` the shell would take the warning signal and the run would not hear it.
if [ -f "$run/experiment.toml" ]; then
    exec "$synfire" resume "$run"
fi
exec "$synfire" run "$@" --seed "$task" -o "$run"
