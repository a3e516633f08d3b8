#include <firn/tensor.h>

size_t firn_dtype_size(firn_dtype dtype) { return dtype == FIRN_U8 ? 1 : dtype == FIRN_F32 || dtype == FIRN_I32 ? 4 : 0; }

int64_t firn_shape_count(firn_shape s)
{
    int64_t count = 1;
    bool zero = false;
    if (s.rank < 0 || s.rank > FIRN_MAX_RANK) return -1;
    for (int i = 0; i < s.rank; i++) {
        if (s.dim[i] < 0) return -1;
        zero = zero || s.dim[i] == 0;
    }
    if (zero) return 0;
    for (int i = 0; i < s.rank; i++) {
        if (count > INT64_MAX / s.dim[i]) return -1;
        count *= s.dim[i];
    }
    return count;
}

bool firn_shape_equal(firn_shape a, firn_shape b)
{
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank && i < FIRN_MAX_RANK; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}
