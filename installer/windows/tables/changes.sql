UPDATE `File` SET `Version` = '@VERSION@.0', `Language` = '1033' WHERE `File` = 'rdlinkd.exe'
UPDATE `File` SET `Version` = '@VERSION@.0', `Language` = '1033' WHERE `File` = 'rdlink.exe'
DELETE FROM `MsiFileHash` WHERE `File_` = 'rdlinkd.exe'
DELETE FROM `MsiFileHash` WHERE `File_` = 'rdlink.exe'
UPDATE `Registry` SET `Value` = '#%"[#rdlinkd.exe]" service' WHERE `Registry` = 'ImagePath'
UPDATE `Registry` SET `Value` = '#%[#rdlinkd.exe]' WHERE `Registry` = 'EventMessageFile'
DROP TABLE `CustomAction`
DROP TABLE `Binary`
DROP TABLE `Icon`
DROP TABLE `Shortcut`
DROP TABLE `AppSearch`
DROP TABLE `RegLocator`
DROP TABLE `Signature`
