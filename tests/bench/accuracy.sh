# The accuracy of the main job over seeds 1 to 3. usage: sh accuracy.sh PATH/TO/mnist_transfer [its options]
set -e
program=$1
shift
results=$(for seed in 1 2 3; do
    "$program" --quiet --seed $seed "$@" | awk -v seed=$seed '/^classes/ { row = row " " $4 } END { print seed row }'
done)
median() { printf '%s\n' "$results" | cut -d' ' -f"$1" | sort -n | sed -n 2p; }
printf 'seed, %% right on classes 0-4, on classes 5-9\n%s\n' "$results"
printf 'median %s (at least 99.7) and %s (at least 99.1)\n' "$(median 2)" "$(median 3)"
