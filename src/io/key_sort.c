#include "key_sort.h"

static void swap_keys(firn__key *a, firn__key *b)
{
    const firn__key t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(firn__key *heap, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && firn__key_number(heap[child]) < firn__key_number(heap[child + 1])) child++;
        if (firn__key_number(heap[root]) >= firn__key_number(heap[child])) return;
        swap_keys(&heap[root], &heap[child]);
    }
}

/* No bad cases for whoever wrote the file to choose. */
static void heap_sort(firn__key *keys, size_t count)
{
    for (size_t root = count / 2; root-- > 0;) sift_down(keys, root, count);
    for (size_t last = count; last-- > 1;) {
        swap_keys(&keys[0], &keys[last]);
        sift_down(keys, 0, last);
    }
}

/* First into 256 heaps by the highest byte, so that for hashes each fits in cache. */
void firn__key_sort(firn__key *keys, size_t count)
{
    size_t next[256] = {0}, end[256], sum = 0;
    for (size_t i = 0; i < count; i++) next[keys[i].high >> 24]++;
    for (int b = 0; b < 256; b++) {
        sum += next[b];
        end[b] = sum;
        next[b] = sum - next[b];
    }
    for (int b = 0; b < 256; b++)
        while (next[b] < end[b]) {
            const uint32_t home = keys[next[b]].high >> 24;
            if (home != (uint32_t)b) swap_keys(&keys[next[b]], &keys[next[home]]);
            next[home]++;
        }
    for (int b = 0; b < 256; b++) heap_sort(keys + (b > 0 ? end[b - 1] : 0), end[b] - (b > 0 ? end[b - 1] : 0));
}
