/* model_file.h: what the files of a model have in common: their metadata, and the hash that ties a delta to its base. */
#ifndef FIRN_IO_MODEL_FILE_H
#define FIRN_IO_MODEL_FILE_H
#include "graph.h"
#include "safetensors.h"
#include "writer.h"

/* Keys of the metadata. */
#define FIRN__META_KIND "firn.kind" /* "delta" or "checkpoint" */
#define FIRN__META_FROZEN "firn.frozen"
#define FIRN__META_STATES "firn.states"
#define FIRN__META_BASE "firn.base"
#define FIRN__META_CHECKSUM "firn.checksum"

bool firn__is_kind(const firn__st *st, const char *kind);

/* Add all names of the frozen tensors, and of those that are states, joined by commas; nothing if there are none. */
void firn__write_frozen(firn__writer *w, const firn_model *m);
void firn__write_states(firn__writer *w, const firn_model *m);

/* A hash over names, shapes and values of the named tensors i with in_base[i], in whatever order they were declared. */
uint64_t firn__base_hash(const firn_model *m, const bool *in_base);

/* Reads and converts all values of a tensor. */
bool firn__read_values(const firn__st *st, const firn__st_entry *e, float *out);

#endif
