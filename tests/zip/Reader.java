import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/**
 * Reads every byte of a ZIP, as a stream or by its directory, and says of each entry: size, CRC-32, name.
 *
 * Usage: java Reader.java stream|file ARCHIVE [END-OF-NAME]; other entries are then listed as the directory has them.
 */
public class Reader {
    private static final byte[] BUFFER = new byte[1 << 18];
    private static final PrintStream OUT =
            new PrintStream(
                    new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)), false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        String end = arguments.length > 2 ? arguments[2] : "";
        if (arguments[0].equals("stream")) {
            stream(arguments[1]);
        } else {
            file(arguments[1], end);
        }
        OUT.flush();
    }

    private static void stream(String path) throws Exception {
        try (InputStream file = new BufferedInputStream(new FileInputStream(path), 1 << 18);
                ZipInputStream archive = new ZipInputStream(file)) {
            for (ZipEntry entry; (entry = archive.getNextEntry()) != null; ) {
                read(entry, archive);
            }
        }
    }

    private static void file(String path, String end) throws Exception {
        try (ZipFile archive = new ZipFile(path)) {
            for (ZipEntry entry : Collections.list(archive.entries())) {
                if (!entry.getName().endsWith(end)) {
                    say(entry);
                    continue;
                }
                try (InputStream body = archive.getInputStream(entry)) {
                    read(entry, body);
                }
            }
        }
    }

    /** A ZipFile does not look at the checksum by itself. */
    private static void read(ZipEntry entry, InputStream body) throws Exception {
        CRC32 checksum = new CRC32();
        long size = 0;
        for (int count; (count = body.read(BUFFER)) > 0; size += count) {
            checksum.update(BUFFER, 0, count);
        }
        if (entry.getSize() != size || entry.getCrc() != checksum.getValue()) {
            throw new ZipException("invalid CRC or size: " + entry.getName());
        }
        say(entry);
    }

    private static void say(ZipEntry entry) {
        OUT.println(entry.getSize() + " " + Long.toHexString(entry.getCrc()) + " " + entry.getName());
    }
}
