/* SPDX-License-Identifier: Apache-2.0
 * replay_main.c - feeds files and folders of files to a fuzz target where there is no libFuzzer,
 * so that each seed, and each input that once failed, is an ordinary test. Every short input is
 * also replayed cut off at each of its bytes.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1024 * 1024, CUT_MAX = 512, PATH_LEN_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static unsigned replayed;

/* A copy of exactly the right size, so that a sanitizer sees the first byte beyond the end. */
static void replay(const uint8_t *data, size_t len_bytes)
{
    uint8_t *copy = malloc(len_bytes ? len_bytes : 1);

    if (!copy)
        abort();
    memcpy(copy, data, len_bytes);
    LLVMFuzzerTestOneInput(copy, len_bytes);
    free(copy);
    replayed++;
}

static int replay_file(const char *path)
{
    static uint8_t input[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    size_t len_bytes;

    if (!f) {
        perror(path);
        return 1;
    }
    len_bytes = fread(input, 1, sizeof input, f);
    fclose(f);
    replay(input, len_bytes);
    if (len_bytes <= CUT_MAX)
        for (size_t cut = 0; cut < len_bytes; cut++)
            replay(input, cut);
    return 0;
}

static int replay_folder(DIR *dir, const char *path)
{
    struct dirent *entry;
    int failed = 0;

    while ((entry = readdir(dir)) != NULL) {
        char file[PATH_LEN_MAX];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        failed |= replay_file(file);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);

        failed |= dir ? replay_folder(dir, argv[i]) : replay_file(argv[i]);
    }
    printf("%u inputs\n", replayed);
    return failed || replayed == 0;
}
