/* firn.h: the whole public API except op.h (writing your own operators), in reading order. */
#ifndef FIRN_H
#define FIRN_H
#define FIRN_VERSION_MAJOR 0
#define FIRN_VERSION_MINOR 1
#define FIRN_VERSION_PATCH 0
#include "base.h"
#include "tensor.h"
#include "model.h"
#include "ops.h"
#include "nn.h"
#include "plan.h"
#include "optim.h"
#include "train.h"
#include "io.h"
#endif
