#!/bin/bash
#SBATCH --output="/tmp/tmp.UpjiWbER5F/a folder, 100 %%/logs/x \"q' #-%A_%a.log"
#SBATCH --array=0-2%2
#SBATCH --requeue
#SBATCH --mem=100M
#SBATCH --open-mode=append
env | grep SLURM_; squeue -j ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID --noheader --format=%T; trap "echo got TERM; squeue --noheader --jobs=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID --format=%T; exit 4" TERM; sleep 5 & wait; wait
