/* checkpoint.h: what a checkpoint holds besides the weights, and how it is written down. */
#ifndef FIRN_IO_CHECKPOINT_H
#define FIRN_IO_CHECKPOINT_H
#include <firn/io.h>

#include "model_file.h"
#include "trainer.h"

/* A checkpoint is a safetensors file: each weight under its name, and beside it, under names that no tensor can have, an
 * optimizer's buffer as "exp_avg of NAME", its steps as "step of NAME", a learning rate's multiplier as "rate of NAME",
 * early stopping's copy as "best of NAME". The metadata hold the rest as text. */
#define FIRN__META_VERSION "firn.version"
#define FIRN__META_RUN "firn.run"
#define FIRN__META_POSITION "firn.position"
#define FIRN__META_MASK "firn.mask" /* and firn.mask.0, firn.mask.1 ... of the stack */
#define FIRN__CHECKPOINT_VERSION "1"
#define FIRN__OF " of "

/* The seed and the options on which the bits of a run depend, as "name=value" words. */
#define FIRN__RUN_TEXT 768
void firn__run_text(const firn_trainer *t, char text[FIRN__RUN_TEXT]);

#define FIRN__POSITION_TEXT 512
void firn__position_text(const firn_trainer_position *p, char text[FIRN__POSITION_TEXT]);
bool firn__position_parse(const char *text, firn_trainer_position *p);

/* "0" or "1" for each tensor, a blank, and for each node; size is n_named + n_nodes + 2. */
void firn__mask_text(const firn__mask *mask, char *text);
bool firn__mask_measure(const char *text, size_t *n_named, size_t *n_nodes);
void firn__mask_fill(const char *text, firn__mask *mask); /* of the size that was measured */

/* Is a file that says it is a checkpoint whole? Reads all of it. */
bool firn__checkpoint_verify(firn__st *st);

/* Puts the trainer where the checkpoint in the file was taken, or changes nothing. */
firn_status firn__checkpoint_resume(firn_trainer *t, firn__file *file);

#endif
