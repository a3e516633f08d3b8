#include "run_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void read_into(const char *path, char *text, size_t room)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) fail_msg("%s cannot be read", path);
    const size_t n = fread(text, 1, room, f);
    fclose(f);
    if (n == room) fail_msg("%s is longer than %zu bytes", path, room - 1);
    text[n] = '\0';
}

void run_program(const char *program, const char *arguments, program_run *r)
{
    const char *name = strrchr(program, '/') + 1;
    char command[2000], out[100], err[100];
    snprintf(out, sizeof out, "test_%.60s.out", name);
    snprintf(err, sizeof err, "test_%.60s.err", name);
    snprintf(command, sizeof command, "'%s' %s >%s 2>%s", program, arguments, out, err);
    const int status = system(command);
    if (status == -1 || !WIFEXITED(status)) fail_msg("%s: did not exit by itself", command);
    r->status = WEXITSTATUS(status);
    read_into(out, r->out, sizeof r->out);
    read_into(err, r->err, sizeof r->err);
    remove(out);
    remove(err);
}

const char *read_text(const char *path)
{
    static char text[400000];
    read_into(path, text, sizeof text);
    return text;
}

size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) n += *text == '\n';
    return n;
}

void put_images(const char *part, uint8_t height, uint8_t width)
{
    char path[100];
    snprintf(path, sizeof path, "%s-images-idx3-ubyte", part);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite((uint8_t[]){0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, height, 0, 0, 0, width}, 1, 16, f);
    for (int i = 0; i < 20 * height * width; i++) fputc(0, f);
    assert_int_equal(fclose(f), 0);
    snprintf(path, sizeof path, "%s-labels-idx1-ubyte", part);
    f = fopen(path, "wb");
    assert_non_null(f);
    fwrite((uint8_t[]){0, 0, 8, 1, 0, 0, 0, 20}, 1, 8, f);
    for (int i = 0; i < 20; i++) fputc(i % 10, f);
    assert_int_equal(fclose(f), 0);
}

void put_byte(const char *path, long at, int byte)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    fputc(byte, f);
    assert_int_equal(fclose(f), 0);
}
