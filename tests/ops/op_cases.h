/* op_cases.h: sample problems for every operator of ops.def. */
#ifndef FIRN_TESTS_OP_CASES_H
#define FIRN_TESTS_OP_CASES_H
#include "ops.h"
#include <firn/ops.h>

typedef struct op_cases {
    const firn_op *op;
    const firn_op_case *cases;
    size_t count;
} op_cases;

extern const op_cases all_op_cases[];
extern const size_t all_op_cases_count;

#endif
